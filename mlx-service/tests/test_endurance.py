"""Hundreds of requests to one process: its memory does not grow, and it exits with status 0."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

from mlx_service_process import RunningService, StartService
from rapl_protocol.audio import BYTES_PER_SECOND, WavAudio
from rapl_protocol.transcript import TranscribeOptions
from rapl_service.calls.clients import TranscriberClient
from rapl_service.memory import process_bytes

REQUESTS = 500
SETTLED_AFTER = 100
"""After this many requests every cache is full."""
GROWTH_BYTES = 16 << 20
"""Leaking only the audio of each request would be more: 400 times 1 s of float32 samples are 26 MB."""


async def test_memory_does_not_grow_in_five_hundred_requests_of_mixed_length_and_the_process_exits_with_status_0(
    start_service: StartService,
    digits: Path,
    speech: WavAudio,
    client_of: Callable[[RunningService], TranscriberClient],
):
    lengths = random.Random(0)
    with start_service(MODELS=f"x/y={digits}") as service:
        service.wait_for("x/y", "ready")
        client = client_of(service)
        [pid] = service.children()

        async def run(count: int) -> int:
            """Sends requests, four at a time. Returns the memory of the process afterwards."""
            clips = [clip_of(speech, lengths.uniform(0.2, 2.0)) for _ in range(count)]
            pending = iter(clips)
            options = TranscribeOptions(model="x/y")

            async def send_clips() -> None:
                for clip in pending:
                    await client.transcribe(clip, options, deadline_s=100)

            await asyncio.gather(*(send_clips() for _ in range(4)))
            return process_bytes(pid) or 0

        settled = await run(SETTLED_AFTER)
        after = await run(REQUESTS - SETTLED_AFTER)

        assert service.children() == [pid]
        assert settled > 0
        assert after - settled < GROWTH_BYTES, f"{settled / 1e6:.1f} MB, then {after / 1e6:.1f}"

    assert f"pid={pid} ended how='exit code 0'" in service.log
    assert service.process.returncode == 0


def clip_of(audio: WavAudio, duration_s: float) -> WavAudio:
    """Returns the beginning of the audio."""
    return WavAudio(bytes(audio.pcm)[: int(duration_s * BYTES_PER_SECOND) // 2 * 2])

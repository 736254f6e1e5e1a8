"""Whisper and Parakeet in the real mlx-audio, with random weights: load, generate, unload. Their text is noise."""

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from mlx_service_process import RunningService, StartService, until
from rapl_protocol.audio import WavAudio
from rapl_protocol.transcript import TranscribeOptions
from rapl_service.calls.clients import TranscriberClient

MODELS = Path(__file__).parents[3] / "tests" / "models"


def make(python: str, family: str, folder: Path) -> None:
    subprocess.run([python, MODELS / f"make_random_{family}.py", folder], check=True, timeout=120)


# With word times Whisper would align all of its noise, which takes a minute.
@pytest.mark.parametrize(("family", "word_timestamps"), [("whisper", False), ("parakeet", True)])
async def test_a_model_with_random_weights_loads_generates_and_unloads(
    family: str,
    word_timestamps: bool,
    start_service: StartService,
    mlx_python: str,
    tmp_path: Path,
    speech: WavAudio,
    client_of: Callable[[RunningService], TranscriberClient],
):
    folder = tmp_path / f"tiny-{family}"
    await asyncio.to_thread(make, mlx_python, family, folder)
    model = f"x/tiny-{family}"
    # With a temperature above 0 Whisper decodes its noise once and not six times.
    options = TranscribeOptions(model=model, word_timestamps=word_timestamps, temperature=0.4)
    with start_service(MODELS=f"{model}={folder}", DEADLINE_BASE_S=100) as service:
        info = service.wait_for(model, "ready")
        client = client_of(service)
        transcript = await client.transcribe(speech, options, deadline_s=100)
        *texts, streamed = [t async for t in client.stream(speech, options, deadline_s=100)]
        await client.unload(model)

        assert info["capabilities"]["word_timestamps"]
        assert transcript.duration_s == speech.duration_s
        assert all(0 <= s.start_s <= s.end_s <= speech.duration_s for s in transcript.segments)
        assert streamed == transcript
        assert texts == []
        assert until(lambda: not service.children(), service)
        assert "ended how='exit code 0'" in service.log

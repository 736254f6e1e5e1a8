"""Whatever fails and whoever cancels, every segment ends, and every count returns to zero."""

import asyncio
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st
from rapl_gateway.backends.load import CallOptions, Throughput
from rapl_gateway.backends.replica import Replica
from rapl_gateway.backends.scheduler import Scheduler
from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import ModelInfo, ModelState
from rapl_protocol.transcript import TranscribeOptions, Transcript
from rapl_service.calls.call import Service
from rapl_service.testing import until

READY = ModelInfo(id="model", state=ModelState.READY)
KINDS = ("short", "long", "partial")
OUTCOMES = st.sampled_from(["text", "text", "text", *ErrorCode])


class ScriptedEngine:
    """A fake engine: each call ends as the script says, in turn."""

    poll_interval_s = 1.0
    has_bounded_queue = True

    def __init__(self, number: int, script: list[str]) -> None:
        self.service = Service("engine", f"http://127.0.0.1:{9000 + number}", "Start it.")
        self._script = iter(script)

    async def transcribe(self, audio, options, *, deadline_s, request_id=None):
        await asyncio.sleep(0)
        outcome = next(self._script, "text")
        if outcome != "text":
            raise ServiceError(outcome, "scripted")
        return Transcript(text="text", duration_s=audio.duration_s)


@settings(max_examples=60, deadline=None)
@given(
    scripts=st.lists(st.lists(OUTCOMES, max_size=8), min_size=1, max_size=3),
    segments=st.lists(
        st.tuples(st.sampled_from(["ada", "bob"]), st.sampled_from(KINDS), st.integers(1, 30), st.booleans()),
        max_size=12,
    ),
)
def test_every_segment_ends_and_every_count_returns_to_zero(scripts, segments):
    async def run() -> None:
        scheduler = Scheduler("backend", restart_wait_s=0.01)
        for number, script in enumerate(scripts):
            scheduler.replicas.append(Replica(ScriptedEngine(number, script), scheduler.schedule, [READY]))
        scheduler.schedule()

        async def transcribe(client_id: str, kind: str, seconds: int) -> str:
            options = TranscribeOptions(model="model", is_long=kind != "short")
            is_partial = kind == "partial"
            call = CallOptions(client_id, deadline_s=0.2, request_id=None, has_fallback=False, is_partial=is_partial)
            return (await scheduler.transcribe(WavAudio(bytes(seconds * 32_000)), options, call)).text

        tasks = [asyncio.create_task(transcribe(*segment)) for *segment, _ in segments]
        await asyncio.sleep(0)
        for task, (*_, is_cancelled) in zip(tasks, segments, strict=True):
            if is_cancelled:
                task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)

        assert all(result == "text" or isinstance(result, ServiceError | asyncio.CancelledError) for result in results)
        # The places of cancelled segments are freed by a timer.
        await until(lambda: not any(replica.segments for replica in scheduler.replicas))
        assert scheduler.queued.total_s == 0.0
        assert [replica.audio_s for replica in scheduler.replicas] == [0.0] * len(scripts)

    asyncio.run(run())


async def test_after_single_clips_the_backend_knows_what_all_replicas_can_do():
    times_s = []
    for replicas in (1, 4):
        scheduler = Scheduler("backend", restart_wait_s=0.01)
        clock = count()
        scheduler.throughput = Throughput(lambda clock=clock: float(next(clock)))
        for number in range(replicas):
            scheduler.replicas.append(Replica(ScriptedEngine(number, []), scheduler.schedule, [READY]))
        for _ in range(5):
            call = CallOptions("ada", deadline_s=1.0, request_id=None, has_fallback=False)
            await scheduler.transcribe(WavAudio(bytes(32_000)), TranscribeOptions(model="model"), call)
        times_s.append(scheduler.time_s(60.0))

    assert times_s == [60.0, 15.0]

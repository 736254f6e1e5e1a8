"""pipecat on /v1/realtime: pipecat_client.py URL KEY MODELS FILE... -> its turns by model and mode as JSON.

In the mode `client` pipecat's own Silero finds the ends of turns, and the service commits them.
"""

import asyncio
import sys

from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.stt import OpenAIRealtimeSTTService
from pipecat.workers.runner import WorkerRunner
from turns import RATE_HZ, Turns, audio_of, run_all, spoken


class Recorder(FrameProcessor):
    """Keeps the turns that pass, with the deltas of each, joined."""

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self._turns = turns
        self._deltas: dict[str, str] = {}

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InterimTranscriptionFrame):
            item = frame.result["item_id"]
            self._deltas[item] = self._deltas.get(item, "") + frame.text
        elif isinstance(frame, TranscriptionFrame):
            deltas = self._deltas.get(frame.result["item_id"], "")
            self._turns.add({"transcript": frame.text, "deltas": deltas})
        await self.push_frame(frame, direction)


async def session(url: str, key: str, model: str, mode: str, files: list[str]) -> dict[str, object]:
    turns, audio = Turns(len(files)), audio_of(files)
    service = OpenAIRealtimeSTTService(
        api_key=key,
        base_url=url,
        turn_detection=False if mode == "client" else {"type": "server_vad"},
        settings=OpenAIRealtimeSTTService.Settings(model=model),
    )
    # Without its limit for a silent connection, a busy machine is not taken for a microphone that was switched off.
    detector = VADProcessor(vad_analyzer=SileroVADAnalyzer(), audio_idle_timeout=0)
    detectors = [detector] if mode == "client" else []
    worker = PipelineWorker(
        Pipeline([*detectors, service, Recorder(turns)]),
        params=PipelineParams(audio_in_sample_rate=RATE_HZ),
        cancel_on_idle_timeout=False,
    )
    started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")
    async def on_started(*_: object) -> None:
        started.set()

    @worker.event_handler("on_pipeline_error")
    async def on_error(_: object, frame: ErrorFrame) -> None:
        turns.fail(frame.error)

    async def speak() -> dict[str, object]:
        await started.wait()
        async for piece in spoken(audio):
            await worker.queue_frame(InputAudioRawFrame(piece, RATE_HZ, 1))
        result = await turns.all()
        await worker.queue_frame(EndFrame())
        return result

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    _, result = await asyncio.gather(runner.run(), speak())
    return result


async def main() -> None:
    url, key, models, *files = sys.argv[1:]
    await run_all(models, lambda model, mode: session(url, key, model, mode, files))


logger.remove()
asyncio.run(main())

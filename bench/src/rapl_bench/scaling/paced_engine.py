"""An engine whose time is proportional to the audio. It sleeps, so many of them need no core.

It is built from the parts of the real engines: their HTTP API, and `InferenceWorker` with its queue, which takes short
requests before long ones and refuses those beyond a limit.

    python -m rapl_bench.scaling.paced_engine 8020 0.2      # 5 s of audio take 1 s
"""

import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from rapl_protocol.audio import WavAudio
from rapl_protocol.models import ModelInfo, ModelState
from rapl_protocol.transcriber import OnText
from rapl_protocol.transcript import Segment, TranscribeOptions, Transcript
from rapl_service.engine_app import transcriber_app
from rapl_service.inference_worker import InferenceWorker
from rapl_service.log import LogFormat
from rapl_service.run import serve

from rapl_bench.stub_engine import MODEL

WORDS_PER_S = 1
"""The words are random numbers of three digits. The gateway then finds no text too long or too short for its speech, or
repeated, and transcribes no segment again."""
MAX_JOBS = 32
"""As many as sensevoice-service has by default."""


@dataclass(frozen=True, slots=True)
class PacedSettings:
    port: int
    host: str = "127.0.0.1"
    log_level: str = "WARNING"
    log_format: LogFormat = "text"


class PacedTranscriber:
    """Args: seconds_per_s: seconds that one second of audio takes."""

    def __init__(self, seconds_per_s: float) -> None:
        self._seconds_per_s = seconds_per_s
        self._worker = InferenceWorker("paced inference", MAX_JOBS)
        self._done_s = 0.0
        self._began_at: float | None = None

    async def start(self) -> None:
        self._worker.start()

    async def close(self) -> None:
        self._worker.close()

    def models(self) -> Sequence[ModelInfo]:
        return [ModelInfo(id=MODEL, state=ModelState.READY)]

    async def load(self, model_id: str) -> ModelInfo:
        return self.models()[0]

    unload = remove = load

    async def transcribe(
        self, audio: WavAudio, options: TranscribeOptions, on_text: OnText | None = None
    ) -> Transcript:
        await self._worker.run(lambda: self._work(audio.duration_s), is_long=options.is_long)
        words = max(1, round(WORDS_PER_S * audio.duration_s))
        text = " ".join(str(random.randrange(100, 1000)) for _ in range(words))
        segment = Segment(start_s=0.0, end_s=audio.duration_s, text=text, language="en")
        return Transcript(text=text, language="en", duration_s=audio.duration_s, segments=(segment,))

    def worked_audio_s(self) -> float:
        """Returns the seconds of audio that were computed so far, with the part of the segment in work."""
        part_s = time.monotonic() - self._began_at if self._began_at is not None else 0.0
        return self._done_s + part_s / self._seconds_per_s

    def _work(self, audio_s: float) -> None:
        self._began_at = time.monotonic()
        time.sleep(audio_s * self._seconds_per_s)
        self._began_at = None
        self._done_s += audio_s


def main(port: int, seconds_per_s: float) -> None:
    transcriber = PacedTranscriber(seconds_per_s)
    app = transcriber_app(transcriber)

    @app.get("/stub/worked")
    async def worked() -> dict[str, float]:
        return {"audio_s": transcriber.worked_audio_s()}

    serve(app, PacedSettings(port))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))

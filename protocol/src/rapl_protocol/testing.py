"""A fake engine and a test tone, for tests that need a certain failure or result."""

import asyncio
import math
import re
import struct

from rapl_protocol.audio import SAMPLE_RATE_HZ, WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import Capabilities, ModelInfo, ModelState
from rapl_protocol.transcriber import OnText
from rapl_protocol.transcript import Segment, TranscribeOptions, Transcript


def make_tone(duration_s: float, frequency_hz: float = 440.0, amplitude: float = 0.3) -> WavAudio:
    """A sine tone; `amplitude` is a fraction of full scale."""
    count = round(duration_s * SAMPLE_RATE_HZ)
    step = 2 * math.pi * frequency_hz / SAMPLE_RATE_HZ
    samples = (round(32767 * amplitude * math.sin(step * i)) for i in range(count))
    return WavAudio(struct.pack(f"<{count}h", *samples))


EVERYTHING = Capabilities(prompt=True, keywords=True, word_timestamps=True, translation=True)


class FakeTranscriber:
    """An engine whose results and failures a test chooses.

    Args:
        model_ids: its models, all in the same state.
        text: its transcript; `{model}` and `{n}` are the model's id and the number of the call, from 1.
        language: the detected language.
        delay_s: how long a call takes.
        streams: passes the text word by word to `on_text`.
        capabilities: the capabilities of its models; by default all.
        state: the state of its models. If it is not READY, a call fails as it does in a real engine.
        fails_with: raised by every call.
        crashes: every call raises a RuntimeError, which must become a 500.
    """

    def __init__(
        self,
        *model_ids: str,
        text: str = "fake text",
        language: str | None = "en",
        delay_s: float = 0.0,
        streams: bool = False,
        capabilities: Capabilities = EVERYTHING,
        state: ModelState = ModelState.READY,
        fails_with: ServiceError | None = None,
        crashes: bool = False,
    ) -> None:
        self.model_ids = list(model_ids or ("fake/model",))
        self.text = text
        self.language = language
        self.delay_s = delay_s
        self.streams = streams
        self.capabilities = capabilities
        self.state = state
        self.fails_with = fails_with
        self.crashes = crashes
        self.calls: list[tuple[WavAudio, TranscribeOptions]] = []
        self.is_started = False
        self.is_on_disk = True

    async def start(self) -> None:
        self.is_started = True

    async def close(self) -> None:
        self.is_started = False

    def models(self) -> list[ModelInfo]:
        return [ModelInfo(id=each, state=self.state, capabilities=self.capabilities) for each in self.model_ids]

    async def load(self, model_id: str) -> ModelInfo:
        self.state = ModelState.READY
        return self._info(model_id)

    async def unload(self, model_id: str) -> ModelInfo:
        self.state = ModelState.ABSENT
        return self._info(model_id)

    async def remove(self, model_id: str) -> ModelInfo:
        self.is_on_disk = False
        return await self.unload(model_id)

    async def transcribe(
        self, audio: WavAudio, options: TranscribeOptions, on_text: OnText | None = None
    ) -> Transcript:
        info = self._info(options.model)
        if info.state is not ModelState.READY:
            raise info.not_ready_error()
        self.calls.append((audio, options))
        number = len(self.calls)
        await asyncio.sleep(self.delay_s)
        if self.fails_with:
            raise self.fails_with
        if self.crashes:
            raise RuntimeError("the fake engine crashed, as asked")
        text = self.text.format(model=options.model, n=number)
        if on_text and self.streams:
            for word in re.findall(r"\s*\S+", text):
                on_text(word)
                await asyncio.sleep(0)
        segment = Segment(start_s=0.0, end_s=audio.duration_s, text=text, language=self.language)
        return Transcript(text=text, language=self.language, duration_s=audio.duration_s, segments=(segment,))

    def _info(self, model_id: str) -> ModelInfo:
        for info in self.models():
            if info.id == model_id:
                return info
        raise ServiceError(ErrorCode.MODEL_NOT_FOUND, f"no model {model_id!r} here", param="model")

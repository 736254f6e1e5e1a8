"""An engine in simulated time, for tests/simulate_turns.py."""

import asyncio
import selectors
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from rapl_protocol.audio import BYTES_PER_SECOND, WavAudio
from rapl_protocol.models import ModelInfo, ModelList
from rapl_protocol.transcript import Segment, TranscribeOptions, Transcript
from rapl_service.calls.call import Service

CHECK_TOKENS = 3
"""To check a draft takes as long as to compute so many tokens."""


class _Selector(selectors.DefaultSelector):
    """Does not wait: it moves the clock."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "nothing will ever happen"
            self.now += max(0.0, timeout)
        return ready


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next moment in which something happens."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


@dataclass(frozen=True, slots=True)
class Speed:
    """How long an engine takes, in seconds."""

    base_s: float
    per_audio_s: float = 0.0
    token_s: float = 0.0
    has_drafts: bool = False
    """Whether it uses drafts, and stops between two tokens when a request is cancelled."""

    def needs_s(self, audio_s: float, tokens: Sequence[int], draft: Sequence[int]) -> float:
        same = takewhile(lambda pair: pair[0] == pair[1], zip(tokens, draft, strict=False))
        known = sum(1 for _ in same) if self.has_drafts else 0
        computed = len(tokens) + 1 - known + (CHECK_TOKENS if known else 0)
        return self.base_s + self.per_audio_s * audio_s + self.token_s * computed


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording, and its texts by the bytes of audio from its start."""

    pcm: bytes
    """s16le, 16 kHz, up to the last sound."""
    texts: dict[int, tuple[Segment, ...]]
    """The last one is of the whole recording."""

    def transcript(self, size: int) -> Transcript:
        """The text of so much audio. All that is after the recording is quiet."""
        first, whole = min(self.texts), max(self.texts)
        known = whole if size >= len(self.pcm) else max(each for each in self.texts if each <= max(size, first))
        segments = self.texts[known]
        text = "".join(each.text for each in segments).strip()
        return Transcript(text=text, language="en", duration_s=size / BYTES_PER_SECOND, segments=segments)


class SimulatedEngine:
    """An `EngineClient`. It works on one segment at a time; short ones come first. A cancelled request ends after the
    encoder and the next token, if the engine uses drafts; otherwise as if it were not cancelled."""

    poll_interval_s = 1e9

    def __init__(self, service: Service, clip: Clip, speed: Speed) -> None:
        self.service = service
        self._clip = clip
        self._speed = speed
        self._is_free = True
        self._waiting: list[tuple[bool, float, asyncio.Future[None]]] = []

    async def transcribe(
        self, audio: WavAudio, options: TranscribeOptions, *, deadline_s: float, request_id: str | None = None
    ) -> Transcript:
        await self._begin(is_long=options.is_long)
        transcript = self._clip.transcript(len(audio.pcm))
        draft = tokens_of(options.draft) if options.draft else ()
        needed_s = self._speed.needs_s(audio.duration_s, tokens_of(transcript), draft)
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            await asyncio.sleep(needed_s)
        except asyncio.CancelledError:
            worked_s, token_s = loop.time() - began, self._speed.token_s
            ends_s = max(self._speed.base_s, worked_s + token_s) if self._speed.has_drafts else needed_s
            loop.call_later(min(ends_s, needed_s) - worked_s, self._end)
            raise
        self._end()
        return transcript

    def stream(self, *_: Any, **__: Any) -> AsyncGenerator[str | Transcript, None]:
        raise NotImplementedError

    async def report(self) -> ModelList:
        raise NotImplementedError

    async def load(self, model_id: str) -> ModelInfo:
        raise NotImplementedError

    unload = remove = load

    async def _begin(self, *, is_long: bool) -> None:
        loop = asyncio.get_running_loop()
        if self._is_free:
            self._is_free = False
            return
        place = (is_long, loop.time(), loop.create_future())
        self._waiting.append(place)
        try:
            await place[2]
        except asyncio.CancelledError:
            if place in self._waiting:
                self._waiting.remove(place)
            else:
                self._end()
            raise

    def _end(self) -> None:
        self._is_free = not self._waiting
        if self._waiting:
            first = min(self._waiting, key=lambda place: place[:2])
            self._waiting.remove(first)
            first[2].set_result(None)


def tokens_of(transcript: Transcript) -> list[int]:
    return [token for each in transcript.segments if each.decoding for token in each.decoding.tokens or ()]

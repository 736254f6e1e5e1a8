"""The part of a turn that is still open: its audio, the passes over it, and the words that they settle."""

import logging
from dataclasses import dataclass

from rapl_protocol.audio import BYTES_PER_SECOND, WavAudio
from rapl_protocol.errors import ServiceError
from rapl_protocol.prepared import MAX_SEGMENT_S, PrepareOptions
from rapl_protocol.transcript import TranscribeOptions, Transcript

from rapl_gateway.backends.backend import Backend
from rapl_gateway.backends.load import CallOptions
from rapl_gateway.realtime.figures import PassOutcome, TurnFigures
from rapl_gateway.realtime.text.passes import MIN_INTERVAL_S, OpenAudio, PassLimiter
from rapl_gateway.realtime.text.settling import Hypothesis, Settling, is_unsure
from rapl_gateway.settings import Settings
from rapl_gateway.transcription.checks.usable import usable
from rapl_gateway.transcription.pipeline import Pipeline

LIMIT_BYTES = int(MAX_SEGMENT_S * BYTES_PER_SECOND)
"""A part with more audio is cut."""
_FIRST_PASS_S = 0.9
"""Seconds of audio before the first pass. Engines guess at less."""
_PAUSE_S = 0.3
"""Seconds of quiet audio after which a pass begins at once: if the turn ends here, its text is the final one."""
_SHORT_PAUSE_S = 0.05
"""The same while no other pass runs or waits, so that the text is there soon after the speech. After _PAUSE_S such a
pass is repeated, because more quiet audio can still change its text."""
_LONGEST_QUIET_S = 2.0
"""Most seconds of quiet audio after a pass whose text is the final one. Longer audio may have a sound that is too soft
to be noticed by its level."""
_AFTER_FAILURE_S = 2.0
"""Seconds of audio before the next pass after one that failed."""

log = logging.getLogger("rapl")


@dataclass(frozen=True, slots=True)
class PassEngine:
    """The engine of the passes over one turn. They do not fall back to another model: only the final pass must end in a
    text."""

    backend: Backend
    limiter: PassLimiter
    pipeline: Pipeline
    settings: Settings
    client_id: str
    request_id: str
    figures: TurnFigures

    async def transcribe(self, audio: WavAudio, options: TranscribeOptions, call: CallOptions) -> Transcript:
        """Raises: ServiceError."""
        # An engine's own queue has two classes. A pass is in the one that lets clips and final passes overtake.
        # The log-probabilities say of which words it is sure.
        options = options.model_copy(update={"is_long": True, "logprobs": True})
        return await self.backend.scheduler.transcribe(audio, options, call)

    def with_language(self, options: TranscribeOptions, language: str | None) -> TranscribeOptions:
        """Returns the options with this language, if they have none and the model takes it."""
        info = self.backend.info(options.model)
        languages = info.capabilities.languages if info else ()
        if language is None or options.language or (languages is not None and language not in languages):
            return options
        return options.model_copy(update={"language": language})

    def with_draft(self, options: TranscribeOptions, draft: Transcript | None) -> TranscribeOptions:
        """Returns the options with this draft, if the model is faster with one."""
        info = self.backend.info(options.model)
        if draft is None or info is None or not info.capabilities.drafts:
            return options
        return options.model_copy(update={"draft": draft})

    async def has_speech(self, audio: WavAudio) -> bool:
        """Raises: ServiceError."""
        detection = PrepareOptions(speech_detection=self.settings.speech_switch)
        return await self.pipeline.has_speech(audio, detection, self.request_id)


class OpenPart:
    """The open part of a turn. Only one pass over it may run at a time.

    Args:
        engine: transcribes it.
        options: the options of the turn.
        audio: its audio so far.
        is_detected: whether its audio is known to have speech.
    """

    def __init__(self, engine: PassEngine, options: TranscribeOptions, audio: OpenAudio, *, is_detected: bool) -> None:
        self.audio = audio
        self.settling = Settling()
        self._engine = engine
        self._options = options
        self._is_detected = is_detected
        self._passed = 0
        """Bytes of audio in the latest pass, which may be running."""
        self._oldest_sound: int | None = None
        """The byte at which the oldest sound begins that no pass has; None if all passes together have all."""
        self._not_before = 0
        self._is_sent = False
        """Whether the running pass is at an engine."""
        self._text: Transcript | None = None
        """The engine's answer to the latest pass that has ended."""
        self._text_end = 0
        """Bytes of audio that it is about."""

    @property
    def options(self) -> TranscribeOptions:
        """The options of the next pass. The text of the latest one is its draft."""
        return self._engine.with_draft(self._options_of_turn(), self._text)

    def _options_of_turn(self) -> TranscribeOptions:
        """The language does not change after the first settled words."""
        return self._engine.with_language(self._options, self.settling.language)

    def next_part(self) -> "OpenPart":
        """Returns the part that follows, with the audio that was not taken from this one."""
        return OpenPart(self._engine, self._options_of_turn(), self.audio, is_detected=self._is_detected)

    def append(self, pcm: bytes) -> None:
        """Adds 16 kHz mono s16le samples."""
        size_before = len(self.audio.pcm)
        self.audio.append(pcm)
        if self.audio.sound_end > self._passed:
            if self._oldest_sound is None:
                self._oldest_sound = size_before
            self._engine.limiter.active.add(self)
        else:
            self._engine.limiter.active.discard(self)

    def end(self) -> None:
        """Ends the passes over this part."""
        self._engine.limiter.active.discard(self)

    def is_due(self) -> bool:
        """Returns whether the next pass should begin: there is new sound, and either enough audio or a pause."""
        audio, limiter = self.audio, self._engine.limiter
        if audio.duration_s < _FIRST_PASS_S or len(audio.pcm) < self._not_before:
            return False
        if audio.sound_end <= self._passed:
            quiet_s = (self._passed - audio.sound_end) / BYTES_PER_SECOND
            return audio.sound_end > 0 and quiet_s < _PAUSE_S <= audio.quiet_s and limiter.is_free
        if self._is_pause():
            return True
        return (len(audio.pcm) - self._passed) / BYTES_PER_SECOND >= limiter.interval_s(audio.duration_s)

    def _is_pause(self) -> bool:
        return self.audio.quiet_s >= (_SHORT_PAUSE_S if self._engine.limiter.is_free else _PAUSE_S)

    def has_all_sound(self) -> bool:
        """Returns whether the running pass is at an engine and has everything but quiet audio after it, and no pass
        before it had. Its text is the text of the whole then."""
        return self._is_sent and self._passed >= self.audio.sound_end and self.known() is None

    def known(self) -> Transcript | None:
        """Returns the latest transcript as that of the whole audio, if only quiet audio followed and the engine is sure
        of it. A text of which it is not sure would often be another with a little more audio."""
        quiet_s = (len(self.audio.pcm) - self._text_end) / BYTES_PER_SECOND
        if self._text is None or self._text_end < self.audio.sound_end or quiet_s > _LONGEST_QUIET_S:
            return None
        if is_unsure(self._text):
            return None
        return self._text.model_copy(update={"duration_s": self.audio.duration_s})

    async def run_pass(self) -> str:
        """Waits for its turn and transcribes the audio so far. Returns the text that is settled now, which may be "".
        A failure of the engine only delays the next pass."""
        figures, outcome, oldest_sound = self._engine.figures, PassOutcome.CANCELLED, None
        figures.count_pass(PassOutcome.SKIPPED, self._skipped())
        try:
            async with self._engine.limiter.one_pass():
                audio = WavAudio(bytes(self.audio.pcm[:LIMIT_BYTES]))
                self._passed = len(audio.pcm)
                oldest_sound, self._oldest_sound = self._oldest_sound, None
                self._is_detected = self._is_detected or await self._engine.has_speech(audio)
                if not self._is_detected:
                    outcome = PassOutcome.NO_SPEECH
                    return ""
                self._text, self._text_end = await self._transcribe(audio), len(audio.pcm)
            outcome = PassOutcome.TEXT
        except ServiceError as error:
            outcome, self._oldest_sound = PassOutcome.FAILED, oldest_sound
            log.info(
                "request_id=%s error=%s: a pass over an open turn failed", self._engine.request_id, error.code.value
            )
            self._not_before = len(self.audio.pcm) + int(_AFTER_FAILURE_S * BYTES_PER_SECOND)
            return ""
        finally:
            figures.count_pass(outcome)
        if oldest_sound is not None:
            figures.add_lag((len(self.audio.pcm) - oldest_sound) / BYTES_PER_SECOND)
        hypothesis = Hypothesis.of(usable(self._text), audio)
        return self.settling.add(hypothesis) if hypothesis else ""

    def _skipped(self) -> int:
        """Returns how many passes the turn has left out before this one because others need the engine too."""
        if self._is_pause():
            return 0  # it begins at once, whatever the interval is
        return int(self._engine.limiter.interval_s(self.audio.duration_s) / MIN_INTERVAL_S) - 1

    async def _transcribe(self, audio: WavAudio) -> Transcript:
        call = CallOptions(
            self._engine.client_id,
            self._engine.settings.deadline_s(audio.duration_s),
            self._engine.request_id,
            has_fallback=True,  # it does not wait for a model that is being loaded
            is_partial=True,
            stopwatch=self._engine.figures.stopwatch,
            on_assigned=self._mark_sent,
        )
        try:
            return await self._engine.transcribe(audio, self.options, call)
        finally:
            self._is_sent = False

    def _mark_sent(self) -> None:
        self._is_sent = True

"""Turns: says of audio that is still arriving when a person begins and ends to speak."""

from collections.abc import Iterable, Iterator
from typing import Self

from pydantic import BaseModel, ConfigDict, NonNegativeInt
from rapl_protocol.audio import SAMPLE_RATE_HZ
from rapl_protocol.live_audio import SpeechStarted, SpeechStopped, TurnDetection, TurnEvent

from rapl_preprocess.speech.runs import MIN_SPEECH, PAUSE, Run, SpeechRuns, silence_samples, spoken

_MAX_RUNS = 1_000
"""Most runs of a state that is resumed. Between two utterances there are no more than the silence has room for."""


class TurnsState(BaseModel):
    """What `Turns` needs to go on later, in another process. Positions are samples from the session's start."""

    model_config = ConfigDict(frozen=True)

    position: NonNegativeInt
    last_end: NonNegativeInt
    is_open: bool
    runs: tuple[tuple[NonNegativeInt, NonNegativeInt], ...]


class Turns:
    """Turns the probability of each frame into beginnings and ends of turns, which alternate.

    A turn begins when an utterance has MIN_SPEECH of speech, so that a burst of noise begins none, and ends with
    `silence_duration_ms` of silence. Its padding is as long after the speech as before it, at least a pause and at most
    the silence.

    Args:
        detection: threshold, padding and silence.
        position: where the first frame begins, in samples from the session's start.
    """

    def __init__(self, detection: TurnDetection, position: int = 0) -> None:
        self._speech = SpeechRuns(detection.threshold, position)
        self._last_end = position
        """The end of the last turn."""
        self._is_open = False
        self.configure(detection)

    @classmethod
    def resumed(cls, detection: TurnDetection, state: TurnsState) -> Self:
        """Goes on after `state`. Raises: ValueError."""
        if len(state.runs) > _MAX_RUNS or (state.is_open and not state.runs):
            raise ValueError("the runs of a state are not possible")
        turns = cls(detection, state.position)
        turns._last_end, turns._is_open = state.last_end, state.is_open
        turns._speech.runs = [Run(start, end) for start, end in state.runs]
        return turns

    @property
    def position(self) -> int:
        """Where the last frame ends, in samples from the session's start."""
        return self._speech.position

    def state(self) -> TurnsState:
        runs = tuple((run.start, run.end) for run in self._speech.runs)
        return TurnsState(position=self.position, last_end=self._last_end, is_open=self._is_open, runs=runs)

    def configure(self, detection: TurnDetection) -> None:
        """Changes the options for the frames after this call. An open turn stays open."""
        self._speech.set_threshold(detection.threshold)
        self._prefix = detection.prefix_padding_ms * SAMPLE_RATE_HZ // 1000
        self._silence = silence_samples(detection.silence_duration_ms)

    def feed(self, probabilities: Iterable[float]) -> Iterator[TurnEvent]:
        """Yields the events that these frames cause."""
        for probability in probabilities:
            self._speech.add_frame(probability)
            if event := self._event():
                yield event

    def finish(self) -> SpeechStopped | None:
        """Ends the open turn, if there is one, with the last frame."""
        return self._stopped() if self._is_open else None

    def _event(self) -> TurnEvent | None:
        runs = self._speech.runs
        if not runs:
            return None
        is_silent = self._speech.silence >= self._silence
        if self._is_open:
            del runs[:-1]  # a turn may last for hours
            return self._stopped() if is_silent else None
        if is_silent:
            runs.clear()
        elif spoken(runs) >= MIN_SPEECH:
            self._is_open = True
            return SpeechStarted(at_sample=max(runs[0].start - self._prefix, self._last_end))
        return None

    def _stopped(self) -> SpeechStopped:
        padding = min(max(self._prefix, PAUSE), self._silence)
        self._last_end = min(self._speech.runs[-1].end + padding, self._speech.position)
        self._speech.runs.clear()
        self._is_open = False
        return SpeechStopped(at_sample=self._last_end)

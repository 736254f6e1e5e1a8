"""Runs of speech: turns the probability of each frame into stretches of speech without a pause."""

from dataclasses import dataclass

from rapl_protocol.audio import SAMPLE_RATE_HZ

from rapl_preprocess.speech.silero_network import FRAME_SAMPLES

HYSTERESIS = 0.15
"""A pause begins when the probability is this much below the threshold.

Source: `neg_threshold` of https://github.com/snakers4/silero-vad/blob/master/src/silero_vad/utils_vad.py
"""
PAUSE = 3 * FRAME_SAMPLES
"""Shortest pause, in samples: a tenth of a second. A shorter silence is part of a stop consonant."""
MIN_SPEECH = 4 * FRAME_SAMPLES
"""Least speech in an utterance, in samples: 0.128 s. A spoken "no" has 0.2 s, and a false alarm in music has less."""


@dataclass(slots=True)
class Run:
    """Speech without a pause. Positions are samples from the source's start."""

    start: int
    end: int
    continues_segment: bool = False
    """Whether the previous segment was cut within this utterance. If so, the run is speech even if it is short."""


class SpeechRuns:
    """The runs so far that are still needed; the owner removes the others.

    Args:
        threshold: lowest probability at which a run begins.
        position: where the first frame begins, in samples from the source's start.
    """

    def __init__(self, threshold: float, position: int = 0) -> None:
        self.runs: list[Run] = []
        self.position = position
        """Where the next frame begins."""
        self.set_threshold(threshold)

    @property
    def silence(self) -> int:
        """Samples since the last run, which must exist."""
        return self.position - self.runs[-1].end

    def set_threshold(self, threshold: float) -> None:
        self._start_threshold = threshold
        self._continue_threshold = min(threshold, max(threshold - HYSTERESIS, 0.01))

    def add_frame(self, probability: float) -> None:
        start, self.position = self.position, self.position + FRAME_SAMPLES
        continues = bool(self.runs) and start - self.runs[-1].end < PAUSE
        if probability < (self._continue_threshold if continues else self._start_threshold):
            return
        if continues:
            self.runs[-1].end = self.position
        else:
            self.runs.append(Run(start, self.position))


def spoken(runs: list[Run]) -> int:
    return sum(run.end - run.start for run in runs)


def silence_samples(silence_duration_ms: int) -> int:
    """The silence that ends an utterance: whole frames, and no less than a pause."""
    return max(-(-silence_duration_ms * SAMPLE_RATE_HZ // 1000 // FRAME_SAMPLES) * FRAME_SAMPLES, PAUSE)

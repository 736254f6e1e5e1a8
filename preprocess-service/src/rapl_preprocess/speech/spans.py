"""Speech spans: turns the probability of each frame into the parts of a source that become segments."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from rapl_protocol.audio import SAMPLE_RATE_HZ
from rapl_protocol.prepared import MAX_SEGMENT_S, PrepareOptions

from rapl_preprocess.speech.runs import MIN_SPEECH, Run, SpeechRuns, silence_samples, spoken

MAX_SAMPLES = int(MAX_SEGMENT_S * SAMPLE_RATE_HZ)
MAX_GAP = 2 * SAMPLE_RATE_HZ
"""Longest silence within a span, in samples. A longer silence between utterances is left out; a shorter one costs less
than another segment."""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the source that becomes a segment. Positions are samples from the source's start.

    `end` may be later than the end of the source.
    """

    start: int
    end: int
    runs: tuple[tuple[int, int], ...]
    """The start and the end of each run of speech in the span."""


class SpeechSpans:
    """Turns the probability of each frame into spans: in order, without overlap, each at most MAX_SAMPLES long.

    A run ends with a pause, and an utterance with `vad_silence_duration_ms` of silence. A span ends with a silence
    longer than MAX_GAP, or when it would become too long. A span that would become too long is cut in the last silence
    between two of its utterances. If it is one utterance, it is cut in the longest pause of its later half; if it has
    no pause, at its quietest point.

    Args:
        options: threshold, padding and silence.
        quietest_before: returns the quietest position shortly before the given one, in samples.
    """

    def __init__(self, options: PrepareOptions, quietest_before: Callable[[int], int]) -> None:
        self._speech = SpeechRuns(options.vad_threshold)
        self._padding = options.vad_prefix_padding_ms * SAMPLE_RATE_HZ // 1000
        self._silence = silence_samples(options.vad_silence_duration_ms)
        self._max_gap = max(self._silence, MAX_GAP, self._padding)  # a span ends after its padding
        self._quietest_before = quietest_before
        self._last_end = 0
        """The end of the last span."""
        self.speech_samples = 0
        """Speech in the spans so far, without pauses and padding."""

    @property
    def _runs(self) -> list[Run]:
        return self._speech.runs

    @property
    def earliest(self) -> int:
        """The earliest sample at which a later span can begin."""
        begin = self._runs[0].start if self._runs else self._speech.position
        return max(begin - self._padding, self._last_end)

    @property
    def has_speech(self) -> bool:
        """Whether there was a span, or the current runs have enough speech for one."""
        return self._last_end > 0 or spoken(self._runs) >= MIN_SPEECH

    def feed(self, probabilities: Iterable[float]) -> Iterator[Span]:
        """Yields the spans that these frames complete."""
        for probability in probabilities:
            self._speech.add_frame(probability)
            if self._runs:
                yield from self._complete()

    def finish(self, samples: int) -> Iterator[Span]:
        """Yields the last span, if there is one.

        Args:
            samples: length of the source.
        """
        self._drop_noise()
        if self._runs:
            self._runs[-1].end = min(self._runs[-1].end, samples)
            yield self._pop_span(len(self._runs))

    def _complete(self) -> Iterator[Span]:
        silence = self._speech.silence
        if silence == self._silence:
            self._drop_noise()
        if self._runs and silence >= self._max_gap:
            yield self._pop_span(len(self._runs))
        elif silence == 0 and self._speech.position + self._padding > self.earliest + MAX_SAMPLES:
            yield from self._cut()

    def _cut(self) -> Iterator[Span]:
        gaps = [after.start - before.end for before, after in pairwise(self._runs)]
        silences = [i for i, gap in enumerate(gaps) if gap >= self._silence]
        if silences:
            yield self._pop_span(silences[-1] + 1)
        elif gaps:
            yield self._pop_span(self._best_pause(gaps) + 1)
            self._runs[0].continues_segment = True
        elif self._speech.position > self.earliest + MAX_SAMPLES:
            yield self._cut_without_pause()

    def _best_pause(self, gaps: list[int]) -> int:
        """Returns the index of the longest pause in the later half of the span; if several are equal, the last one."""
        half = self.earliest + MAX_SAMPLES // 2
        return max(range(len(gaps)), key=lambda i: (self._runs[i].end >= half, gaps[i], i))

    def _cut_without_pause(self) -> Span:
        """Cuts a single run at its quietest point."""
        start = self.earliest
        cut = self._quietest_before(start + MAX_SAMPLES)
        rest = Run(cut, self._runs[0].end, continues_segment=True)
        self._runs[0].end = cut
        runs = self._pop_span(1).runs
        self._speech.runs, self._last_end = [rest], cut
        return Span(start, cut, runs)

    def _pop_span(self, count: int) -> Span:
        """Makes a span of the first `count` runs, padded as far as the silence around it and MAX_SAMPLES allow."""
        start = self.earliest
        runs, self._speech.runs = self._runs[:count], self._runs[count:]
        end = min(runs[-1].end + self._padding, start + MAX_SAMPLES)
        if self._runs:
            end = min(end, (runs[-1].end + self._runs[0].start) // 2)
        self.speech_samples += spoken(runs)
        self._last_end = end
        return Span(start, end, tuple((run.start, run.end) for run in runs))

    def _drop_noise(self) -> None:
        """Removes the last utterance if it has less than MIN_SPEECH."""
        begin = max(len(self._runs) - 1, 0)
        while begin > 0 and self._runs[begin].start - self._runs[begin - 1].end < self._silence:
            begin -= 1
        utterance = self._runs[begin:]
        if spoken(utterance) < MIN_SPEECH and not any(run.continues_segment for run in utterance):
            del self._runs[begin:]

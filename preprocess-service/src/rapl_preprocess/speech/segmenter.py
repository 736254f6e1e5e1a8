"""Cuts a source into segments of speech, and leaves long silence out."""

from collections.abc import Iterator

from rapl_protocol.audio import BYTES_PER_SECOND, SAMPLE_RATE_HZ, SAMPLE_WIDTH_BYTES, WavAudio
from rapl_protocol.intervals import Interval, Intervals
from rapl_protocol.prepared import PrepareOptions, SpeechCheck, SpeechSegment
from rapl_protocol.segmentation import SEARCH_S

from rapl_preprocess.speech.quietest_point import quietest_point
from rapl_preprocess.speech.silero import BLOCK_SAMPLES, SpeechModel
from rapl_preprocess.speech.spans import MAX_SAMPLES, Span, SpeechSpans

_SEARCH_SAMPLES = int(SEARCH_S * SAMPLE_RATE_HZ)


class SpeechSegmenter:
    """Cuts PCM that arrives in pieces into segments with speech, each at most MAX_SEGMENT_S long.

    A source of up to MAX_SEGMENT_S that contains speech is one segment, untrimmed. The segment is yielded as soon as
    the first speech is found; the rest is processed afterwards, for `late_speech`. Of a longer source, only one
    segment, the silence that may still belong to it, and the PCM of the last `feed` are kept in memory.
    """

    def __init__(self, model: SpeechModel, options: PrepareOptions) -> None:
        self._listener = model.listen()
        self._buffer = _PcmBuffer()
        self._spans = SpeechSpans(options, self._buffer.quietest_before)
        self._judged_samples = 0
        self.late_speech: Intervals | None = None
        """The speech of a source that was yielded as one segment, before its speech was known; None until `finish`."""

    @property
    def duration_s(self) -> float:
        """Duration of all audio so far."""
        return self._samples / SAMPLE_RATE_HZ

    @property
    def speech_s(self) -> float:
        """Duration of the speech in the spans so far, without pauses and padding; complete after `finish`."""
        return self._spans.speech_samples / SAMPLE_RATE_HZ

    def feed(self, pcm: bytes | memoryview) -> Iterator[SpeechSegment]:
        """Adds 16 kHz mono s16le samples, and yields the segments that they complete."""
        self._buffer.pcm += pcm
        if self._samples > MAX_SAMPLES:
            while self._judged_samples + BLOCK_SAMPLES <= self._samples:
                yield from map(self._segment, self._next_spans())
                self._buffer.discard_before(self._spans.earliest)

    def finish(self) -> Iterator[SpeechSegment]:
        """Yields the remaining segments, if there are any."""
        if self._samples <= MAX_SAMPLES:
            yield from self._whole_if_speech()
            return
        if self._judged_samples < self._samples:
            yield from map(self._segment, self._next_spans())
        yield from map(self._segment, self._spans.finish(self._samples))

    def check(self, pcm: bytes | memoryview) -> SpeechCheck:
        """Returns where a whole source of up to MAX_SEGMENT_S contains speech. It replaces `feed` and `finish`."""
        self._buffer.pcm += pcm
        for _ in self._whole_if_speech():
            pass
        return SpeechCheck(speech=self.late_speech or ())

    def _whole_if_speech(self) -> Iterator[SpeechSegment]:
        spans: list[Span] = []
        has_speech = False
        while self._judged_samples < self._samples:
            spans += self._next_spans()
            if not has_speech and self._spans.has_speech:
                has_speech = True
                yield SpeechSegment(0.0, self.duration_s, WavAudio(self._buffer.between(0, self._samples)))
        spans += self._spans.finish(self._samples)
        if has_speech:
            self.late_speech = tuple(speech for span in spans for speech in _speech(span, 0))

    @property
    def _samples(self) -> int:
        return self._buffer.end

    def _next_spans(self) -> Iterator[Span]:
        """Processes the next block."""
        start, self._judged_samples = self._judged_samples, min(self._judged_samples + BLOCK_SAMPLES, self._samples)
        return self._spans.feed(self._listener.probabilities(self._buffer.between(start, self._judged_samples)))

    def _segment(self, span: Span) -> SpeechSegment:
        end = min(span.end, self._samples)
        audio = WavAudio(self._buffer.between(span.start, end))
        speech = tuple(_speech(span, span.start))
        return SpeechSegment(span.start / SAMPLE_RATE_HZ, end / SAMPLE_RATE_HZ, audio, speech)


def _speech(span: Span, origin: int) -> Iterator[Interval]:
    """Yields the speech of a span, in seconds from the sample `origin`."""
    for start, end in span.runs:
        yield Interval((start - origin) / SAMPLE_RATE_HZ, (end - origin) / SAMPLE_RATE_HZ)


class _PcmBuffer:
    """The part of a source that is still needed.

    It is a separate object, so that there is no reference cycle between the segmenter and its spans: audio in a cycle
    would stay in memory until the garbage collector runs, which is seldom.
    """

    def __init__(self) -> None:
        self.pcm = bytearray()
        self._begin = 0
        """Position of the first sample in the source, in samples."""

    @property
    def end(self) -> int:
        """Position after the last sample in the source, in samples."""
        return self._begin + len(self.pcm) // SAMPLE_WIDTH_BYTES

    def between(self, start: int, end: int) -> bytes:
        at, to = ((sample - self._begin) * SAMPLE_WIDTH_BYTES for sample in (start, end))
        with memoryview(self.pcm) as pcm:
            return bytes(pcm[at:to])

    def quietest_before(self, sample: int) -> int:
        start = sample - _SEARCH_SAMPLES
        return start + quietest_point(self.between(start, sample)) // SAMPLE_WIDTH_BYTES

    def discard_before(self, sample: int) -> None:
        """Discards the audio before `sample`, but only if it is at least a second, because the rest has to be moved."""
        size = (sample - self._begin) * SAMPLE_WIDTH_BYTES
        if size >= BYTES_PER_SECOND:
            del self.pcm[:size]
            self._begin = sample

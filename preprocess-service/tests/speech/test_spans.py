"""Spans and segments keep their promises for any probabilities of the detector and any options."""

from itertools import groupby, pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from rapl_preprocess.speech.runs import MIN_SPEECH
from rapl_preprocess.speech.segmenter import SpeechSegmenter
from rapl_preprocess.speech.silero import FRAME_SAMPLES
from rapl_preprocess.speech.spans import MAX_SAMPLES, Span, SpeechSpans
from rapl_protocol.prepared import MAX_SEGMENT_S, PrepareOptions, SpeechSegment

RATE_HZ = 16_000
any_settings = settings(max_examples=300, deadline=None, derandomize=True, database=None)

OPTIONS = st.builds(
    PrepareOptions,
    vad_threshold=st.sampled_from((0.0, 0.1, 0.5, 0.9, 1.0)) | st.floats(0, 1),
    vad_prefix_padding_ms=st.sampled_from((0, 500, 5_000)) | st.integers(0, 5_000),
    vad_silence_duration_ms=st.sampled_from((0, 500, 10_000)) | st.integers(0, 10_000),
)
RUN_FRAMES = st.sampled_from((1, 2, 3, 4, 5, 20, 62, 63, 200, 937, 938, 2_000)) | st.integers(1, 300)
PROBABILITY = st.sampled_from((0.0, 0.34, 0.36, 0.5, 1.0)) | st.floats(0, 1)
PROBABILITIES = st.lists(st.tuples(RUN_FRAMES, PROBABILITY), max_size=25).map(
    lambda runs: [probability for frames, probability in runs for _ in range(frames)]
)


@any_settings
@given(PROBABILITIES, OPTIONS, st.integers(800, 79_000))
def test_spans_are_in_order_and_short_and_cover_all_clear_speech(
    probabilities: list[float], options: PrepareOptions, cut_samples: int
):
    spans = SpeechSpans(options, lambda sample: sample - cut_samples)
    found: list[Span] = []
    for position, probability in enumerate(probabilities, 1):
        earliest = spans.earliest
        for span in spans.feed([probability]):
            assert earliest <= span.start < span.end <= position * FRAME_SAMPLES
            found.append(span)
        assert position * FRAME_SAMPLES - spans.earliest <= MAX_SAMPLES + 10 * RATE_HZ + FRAME_SAMPLES
    found += spans.finish(len(probabilities) * FRAME_SAMPLES)

    assert all(before.end <= after.start for before, after in pairwise(found))
    assert all(0 < span.end - span.start <= MAX_SAMPLES for span in found)
    assert all(0 < sum(end - start for start, end in span.runs) <= span.end - span.start for span in found)
    assert uncovered(probabilities, options.vad_threshold, [(span.start, span.end) for span in found]) == []


@any_settings
@given(PROBABILITIES, OPTIONS, st.integers(1, FRAME_SAMPLES), st.integers(1, 400_000))
def test_segments_are_in_order_and_short_and_cover_all_clear_speech(
    probabilities: list[float], options: PrepareOptions, last_frame_samples: int, piece_samples: int
):
    samples = max(0, (len(probabilities) - 1) * FRAME_SAMPLES + last_frame_samples)
    source = np.arange(samples, dtype="<u2")
    segmenter = SpeechSegmenter(ScriptedModel(probabilities), options)  # type: ignore[arg-type]
    found: list[SpeechSegment] = []
    for at in range(0, samples, piece_samples):
        found += segmenter.feed(source[at : at + piece_samples].tobytes())
    found += segmenter.finish()
    limits = [(round(segment.start_s * RATE_HZ), round(segment.end_s * RATE_HZ)) for segment in found]

    assert all(end <= start for (_, end), (start, _) in pairwise(limits))
    assert all(0 <= start < end <= samples for start, end in limits)
    assert all(segment.audio.duration_s <= MAX_SEGMENT_S for segment in found)
    assert all(bytes(s.audio.pcm) == source[a:b].tobytes() for s, (a, b) in zip(found, limits, strict=True))
    if samples <= MAX_SAMPLES:
        assert limits in ([], [(0, samples)])
        check = SpeechSegmenter(ScriptedModel(probabilities), options).check(source.tobytes())  # type: ignore[arg-type]
        assert bool(check.speech) == bool(found)
    assert uncovered(probabilities, options.vad_threshold, limits) == []


class ScriptedModel:
    """Stands in for the detector: its probabilities are given, whatever the audio."""

    def __init__(self, probabilities: list[float]) -> None:
        self._left = list(probabilities)

    def listen(self) -> "ScriptedModel":
        return self

    def probabilities(self, pcm: bytes) -> list[float]:
        frames = -(-len(pcm) // (2 * FRAME_SAMPLES))
        taken, self._left = self._left[:frames], self._left[frames:]
        return taken


def uncovered(probabilities: list[float], threshold: float, limits: list[tuple[int, int]]) -> list[int]:
    """The frames of clear speech that lie in no span, where the speech is long enough to be an utterance.

    The last frame does not count: it may be shorter, and the speech that ends with it too short.
    """
    inside = {i for start, end in limits for i in range(start // FRAME_SAMPLES, -(-end // FRAME_SAMPLES))}
    runs = groupby(enumerate(probabilities[:-1]), lambda frame: frame[1] >= threshold)
    clear = [[i for i, _ in run] for is_clear, run in runs if is_clear]
    return [i for run in clear if len(run) * FRAME_SAMPLES >= MIN_SPEECH for i in run if i not in inside]

"""Spans keep their promises whatever the detector says."""

import random
from itertools import groupby

import pytest
from rapl_preprocess.speech.silero import FRAME_SAMPLES
from rapl_preprocess.speech.spans import MAX_SAMPLES, MIN_SPEECH, Span, SpeechSpans
from rapl_protocol.prepared import PrepareOptions

EVERY_OPTION = [
    PrepareOptions(vad_threshold=threshold, vad_prefix_padding_ms=padding_ms, vad_silence_duration_ms=silence_ms)
    for threshold in (0, 0.5, 1)
    for padding_ms in (0, 500, 5_000)
    for silence_ms in (0, 500, 10_000)
]


def talk(random: random.Random, frames: int) -> list[float]:
    """Probabilities of runs of speech and of silence, of very different lengths."""
    probabilities: list[float] = []
    while len(probabilities) < frames:
        low, high = random.choice(((0.0, 0.3), (0.5, 1.0)))
        length = 1 + int(random.expovariate(1 / random.choice((2, 5, 20, 200, 2000))))
        probabilities += [random.uniform(low, high) for _ in range(length)]
    return probabilities[:frames]


@pytest.mark.parametrize("options", EVERY_OPTION, ids=str)
def test_spans_are_apart_and_short_and_hold_all_clear_speech_and_nothing_that_was_not_heard(options: PrepareOptions):
    for seed in range(12):
        chance = random.Random(seed)
        probabilities = talk(chance, chance.randrange(5_000))
        spans = SpeechSpans(options, lambda sample: sample - chance.randrange(800, 79_000))  # noqa: B023
        end, covered = 0, list[Span]()
        for position, probability in enumerate(probabilities, 1):
            earliest = spans.earliest
            for span in spans.feed([probability]):
                assert max(end, earliest) <= span.start < span.end <= position * FRAME_SAMPLES
                end = span.end
                covered.append(span)
            assert position * FRAME_SAMPLES - spans.earliest <= MAX_SAMPLES + 10 * 16_000 + FRAME_SAMPLES
        covered += spans.finish(len(probabilities) * FRAME_SAMPLES)

        assert all(span.end - span.start <= MAX_SAMPLES for span in covered)
        if options.vad_threshold == 0.5:
            assert uncovered(probabilities, covered) == []


def uncovered(probabilities: list[float], spans: list[Span]) -> list[int]:
    """The frames of clear speech, long enough to be some, that lie in no span."""
    inside = {i for s in spans for i in range(s.start // FRAME_SAMPLES, -(-s.end // FRAME_SAMPLES))}
    frames = groupby(enumerate(probabilities), lambda frame: frame[1] >= 0.5)
    runs = [[i for i, _ in run] for is_clear, run in frames if is_clear]
    return [i for run in runs if len(run) * FRAME_SAMPLES >= MIN_SPEECH for i in run if i not in inside]

"""What a transcript says beyond its text: how sure the model was, and where the text is."""

from itertools import pairwise

import pytest
from rapl_protocol.audio import WavAudio
from rapl_protocol.intervals import Interval, Intervals
from rapl_protocol.testing import make_tone
from rapl_protocol.transcript import TokenLogprob, TranscribeOptions
from rapl_sensevoice.model.transcripts import LONGEST_GAP_S, REACH_S, transcript_from
from rapl_sensevoice.model.words import TimedToken
from rapl_sensevoice.runtimes.runtime import Decoded

AUDIO = make_tone(6.0)
PLAIN = TranscribeOptions(model="rapl/selftest")
TAGS = "<|en|><|NEUTRAL|><|Speech|><|withitn|>"


def token(text: str, start_s: float, log_prob: float | None = -0.5) -> TimedToken:
    return TimedToken(text, start_s, start_s + 0.06, log_prob)


def spans_of(*path: TimedToken, audio: WavAudio = AUDIO) -> Intervals | None:
    return transcript_from(Decoded(TAGS + "text", path=path), audio, PLAIN).text_spans


def test_the_average_is_the_mean_of_the_tokens():
    path = (token("\u2581one", 1.0, -0.1), token("\u2581two", 1.5, -0.7))
    [segment] = transcript_from(Decoded(TAGS + "one two", path=path), AUDIO, PLAIN).segments

    assert segment.decoding is not None
    assert segment.decoding.avg_logprob == pytest.approx(-0.4)
    assert segment.words is None


def test_each_utterance_has_the_average_of_its_own_tokens():
    path = (
        token("\u2581one", 1.0, -0.1), token("\u2581two", 1.2, -0.3), token(".", 1.3, -0.5),
        token("\u2581three", 4.0, -0.9), token(".", 4.2, -0.7),
    )  # fmt: skip
    options = PLAIN.model_copy(update={"segment_timestamps": True})
    segments = transcript_from(Decoded(TAGS + "one two. three.", path, path), AUDIO, options).segments

    assert [segment.text for segment in segments] == ["one two.", "three."]
    averages = [segment.decoding.avg_logprob for segment in segments if segment.decoding]
    assert averages == pytest.approx([-0.3, -0.8])


def test_tokens_without_log_probabilities_give_no_average():
    path = (token("\u2581one", 1.0, None),)
    [segment] = transcript_from(Decoded(TAGS + "one", path=path), AUDIO, PLAIN).segments

    assert segment.decoding is None


def test_text_reaches_a_little_beyond_its_tokens():
    spans = spans_of(token("\u2581one", 1.0), token("\u2581two", 1.9))

    assert spans is not None
    [span] = spans
    assert span == pytest.approx((1.0 - REACH_S, 1.96 + REACH_S))


def test_a_long_gap_between_tokens_separates_two_spans():
    spans = spans_of(token("\u2581one", 1.0), token("\u2581two", 1.06 + LONGEST_GAP_S + 0.01))

    assert spans is not None
    assert len(spans) == 2
    assert all(a.end_s < b.start_s for a, b in pairwise(spans))


def test_spans_stay_within_the_audio():
    assert spans_of(token("\u2581one", 0.0), token("\u2581two", 0.5), audio=make_tone(0.6)) == (Interval(0.0, 0.6),)
    assert spans_of(token("\u2581one", 0.61), audio=make_tone(0.6)) is None


def test_punctuation_is_no_place_with_text():
    assert spans_of(token("\u2581one", 1.0), token(".", 4.0)) == spans_of(token("\u2581one", 1.0))
    assert spans_of(token(".", 4.0)) is None


@pytest.mark.parametrize("tags", ["<|nospeech|><|EMO_UNKNOWN|><|Event_UNK|><|withitn|>", "<|en|><|HAPPY|><|BGM|>"])
def test_without_text_there_are_no_spans_and_no_average(tags: str):
    transcript = transcript_from(Decoded(tags), AUDIO, PLAIN)

    assert transcript.text_spans is None
    assert [segment.decoding for segment in transcript.segments] in ([], [None])


@pytest.mark.parametrize("log_prob", [-0.7, None])
def test_the_tokens_are_returned_on_request_if_all_of_them_have_a_log_probability(log_prob):
    path = (token("\u2581one", 1.0, -0.1), token("\u2581two", 1.5, log_prob))
    decoded = Decoded(TAGS + "one two", path=path)
    requested = transcript_from(decoded, AUDIO, PLAIN.model_copy(update={"logprobs": True})).logprobs

    assert transcript_from(decoded, AUDIO, PLAIN).logprobs is None
    if log_prob is None:
        assert requested is None
    else:
        assert requested == (TokenLogprob(token=" one", logprob=-0.1), TokenLogprob(token=" two", logprob=-0.7))

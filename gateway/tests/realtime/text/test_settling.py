"""Settled text only grows, and ends in the final text wherever the two do not differ."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapl_gateway.realtime.text.settling import Hypothesis, Settling
from rapl_gateway.realtime.text.units import text_of, units_of
from rapl_protocol.audio import WavAudio
from rapl_protocol.transcript import Decoding, Segment, TokenLogprob, Transcript

WORDS = ["I", "went", "to", "the", "shop", "twenty", "21", "don't", "well-known", "好吗", "今天", "はい", "コーヒー",
         "안녕하세요", "ไทย", "Kaffee", ",", ".", "。", "?", "…", "$", "é", "e\u0301", "🙂"]  # fmt: skip
TEXTS = st.one_of(
    st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join),
    st.lists(st.sampled_from(WORDS), max_size=14).map("".join),
    st.text(max_size=40),
)


def settled(*texts: str, language: str | None = None) -> Settling:
    """What the texts of passes settle, each with a second more of audio."""
    settling = Settling()
    for seconds, text in enumerate(texts, 1):
        settling.add(Hypothesis(float(seconds), text, language))
    return settling


@given(TEXTS)
def test_the_units_of_a_text_are_the_text(text):
    assert text_of(units_of(text)) == text.rstrip()


@settings(max_examples=400)
@given(st.lists(TEXTS, max_size=8), TEXTS)
def test_whatever_the_passes_say_the_deltas_are_the_text(hypotheses, final):
    settling, deltas = Settling(), ""
    for number, text in enumerate(hypotheses):
        deltas += settling.add(Hypothesis(number / 2, text))
        assert settling.text == deltas
    settled_words = settling.settled
    deltas += settling.finish(final)

    assert settling.text == deltas
    assert 0 <= settling.disagreed <= settled_words


@settings(max_examples=400)
@given(st.lists(TEXTS, min_size=1, max_size=8), TEXTS)
def test_a_final_text_that_begins_with_the_settled_words_is_the_transcript_exactly(hypotheses, more):
    settling = settled(*hypotheses)
    final = settling.text + " " + more if settling.text else more.strip()
    settling.finish(final)

    assert settling.text == final.strip()
    assert settling.disagreed == 0


@settings(max_examples=200)
@given(TEXTS, st.integers(1, 6))
def test_a_text_that_all_passes_have_is_the_transcript_exactly(text, passes):
    settling = settled(*[text] * passes)
    settling.finish(text)

    assert settling.text == text.strip()


@settings(max_examples=300)
@given(TEXTS)
def test_the_words_of_a_final_text_can_be_streamed(text):
    settling, deltas = Settling(), ""
    for end in range(len(text)):
        deltas += settling.stream(text[:end])
    deltas += settling.finish(text)

    assert deltas == settling.text == text.strip()


@settings(max_examples=200)
@given(st.lists(TEXTS, max_size=4), TEXTS)
def test_streamed_words_only_grow_whatever_was_settled_before(hypotheses, text):
    settling = settled(*hypotheses)
    deltas = settling.text
    for end in range(len(text)):
        deltas += settling.stream(text[:end])
    deltas += settling.finish(text)

    assert deltas == settling.text


def test_words_that_two_passes_have_are_settled_but_not_the_last_ones():
    assert settled("I went to the shop", "I went to the shop and bought").text == "I went to the shop"
    assert settled("I went to the shop", "I went to the shop").text == "I went to"


def test_a_single_pass_settles_nothing():
    assert settled("I went to the shop and bought some bread").text == ""


def test_passes_over_nearly_the_same_audio_settle_nothing():
    settling = Settling()
    settling.add(Hypothesis(2.0, "I went to the shop and"))
    settling.add(Hypothesis(2.4, "I went to the shop and bought"))

    assert settling.text == ""


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("He paid twenty", "He paid 20 for it and", "He paid"),
        ("We have 20 of the", "We have 20 of the big ones", "We have 20 of the"),
        ("We have 20", "We have 20 one five", "We have"),
        ("Yes. I think so", "Yes, I think so and more", "Yes"),
        ("it ends. And then we", "it ends. And then we go on", "it ends. And then we"),
        ("今天天气很好我们去", "今天天气很好我们去公园玩了吧你说", "今天天气很好我们去"),
        ("我有二十", "我有二十一个苹果和一些梨", "我有"),
        ("コーヒーをください", "コーヒーをくださいませんでした", "コーヒーをください"),
        ("我用iPhone打电话", "我用iPhone打电话给你们了好吗", "我用iPhone打电话"),
    ],
)
def test_what_may_still_change_is_held_back(first, second, expected):
    assert settled(first, second).text == expected


def test_passes_that_detect_different_languages_settle_nothing():
    settling = Settling()
    settling.add(Hypothesis(1.0, "no no no no no no", "en"))
    settling.add(Hypothesis(2.0, "no no no no no no", "es"))

    assert settling.text == ""


@pytest.mark.parametrize(
    ("passes", "final", "transcript", "disagreed"),
    [
        # The settled words stay, and what follows them is neither lost nor said twice.
        (["How do you marry a", "How do you marry a nice woman"], "Had he married a nice woman.",
         "How do you marry a nice woman.", 4),
        (["the cat sat on the", "the cat sat on the mat and"], "the hat sat on the mat and slept",
         "the cat sat on the mat and slept", 1),
        (["I said no to him", "I said no to him and left"], "I said to him and left",
         "I said no to him and left", 1),
        (["I said to him and", "I said to him and went away"], "I really said to him and went",
         "I said to him and went", 0),
        (["we go now here to", "we go now here to see it"], "we go nowhere to see it",
         "we go now here to see it", 2),
        (["今天天气很好他们去", "今天天气很好他们去公园玩了吧你说"], "今天天气很好她们去公园玩了。",
         "今天天气很好他们去公园玩了。", 1),
        (["I went to the shop", "I went to the shop and then"], "", "I went to the shop", 5),
        (["I went to the shop", "I went to the shop and then"], "I went to the shop.", "I went to the shop.", 0),
    ],
)  # fmt: skip
def test_a_final_text_that_differs_from_settled_words(passes, final, transcript, disagreed):
    settling = settled(*passes)
    settling.finish(final)

    assert (settling.text, settling.disagreed) == (transcript, disagreed)


def test_words_that_were_settled_after_a_cut_belong_to_the_next_part():
    settling = settled("one day I went to the shop to buy", "one day I went to the shop to buy some bread today")
    after = settling.split("One day I went to the shop.")
    after.finish("to buy some bread today.")

    assert settling.text == "one day I went to the shop"
    assert after.text == "to buy some bread today."


@pytest.mark.parametrize(
    ("transcript", "is_used"),
    [
        (Transcript(text="I went to the shop", duration_s=3.0), True),
        (Transcript(text="I went to the", duration_s=1.0), False),
        (Transcript(text="", duration_s=3.0), False),
        (Transcript(text="Thank you.", duration_s=3.0), False),
        (Transcript(text="no " * 40, duration_s=3.0), False),
        (Transcript(text="I went to the", duration_s=3.0, is_truncated=True), False),
    ],
)
def test_a_text_in_doubt_settles_nothing(transcript, is_used):
    audio = WavAudio(bytes(int(transcript.duration_s * 32_000)))

    assert (Hypothesis.of(transcript, audio) is not None) is is_used


@pytest.mark.parametrize(("logprob", "is_used"), [(-0.3, True), (-0.8, False)])
def test_a_text_of_which_the_engine_is_not_sure_settles_nothing(logprob, is_used):
    segment = Segment(start_s=0.0, end_s=1.0, text="I went to", decoding=Decoding(avg_logprob=logprob))
    transcript = Transcript(text="I went to", duration_s=1.0, segments=(segment,))

    assert (Hypothesis.of(transcript, WavAudio(bytes(32_000))) is not None) is is_used


def pass_of(audio_s: float, text: str, *logprobs: float) -> Hypothesis:
    """A pass over so much audio. Each word is a token, with these log-probabilities."""
    tokens = [f" {word}" for word in text.split()]
    found = tuple(TokenLogprob(token=token, logprob=each) for token, each in zip(tokens, logprobs, strict=False))
    transcript = Transcript(text=text, duration_s=audio_s, logprobs=found)
    hypothesis = Hypothesis.of(transcript, WavAudio(bytes(int(audio_s * 32_000))))
    assert hypothesis is not None
    return hypothesis


def settled_after(*passes: Hypothesis) -> str:
    settling = Settling()
    for each in passes:
        settling.add(each)
    return settling.text


def test_a_word_of_which_the_engine_is_not_sure_waits_until_passes_over_two_more_seconds_have_it():
    text, logprobs = "I went to the shop and then", (-0.1, -0.1, -0.7, -0.1, -0.1, -0.1, -0.1)
    passes = [pass_of(audio_s, text, *logprobs) for audio_s in (3.0, 3.8, 4.6, 5.0)]

    assert settled_after(*passes[:2]) == "I went"
    assert settled_after(*passes[:3]) == "I went"
    assert settled_after(*passes) == "I went to the shop"


def test_a_word_of_which_the_latest_pass_is_sure_does_not_wait():
    text = "I went to the shop and then"
    first, second = pass_of(3.0, text, *[-0.7] * 7), pass_of(3.8, text, *[-0.1] * 7)

    assert settled_after(first, second) == "I went to the shop"


def test_log_probabilities_of_another_text_hold_nothing_back():
    text = "I went to the shop and then"
    passes = [pass_of(audio_s, text, -0.7, -0.7) for audio_s in (3.0, 3.8)]

    assert settled_after(*passes) == "I went to the shop"


@settings(max_examples=200)
@given(st.lists(st.tuples(TEXTS, st.lists(st.integers(0, 20), max_size=4)), max_size=8), TEXTS)
def test_whatever_the_engine_is_not_sure_of_the_deltas_are_the_text(hypotheses, final):
    settling, deltas = Settling(), ""
    for number, (text, unsure) in enumerate(hypotheses):
        deltas += settling.add(Hypothesis(number / 2, text, unsure=[range(at, at + 2) for at in unsure]))
    deltas += settling.finish(final)

    assert settling.text == deltas

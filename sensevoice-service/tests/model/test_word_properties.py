"""What holds for the words and the utterances of any text: nothing of it is lost, and times never go back."""

from itertools import accumulate, pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from rapl_protocol.audio import SAMPLE_RATE_HZ, WavAudio
from rapl_protocol.transcript import Segment, Word
from rapl_sensevoice.model.utterances import utterances
from rapl_sensevoice.model.words import WORD_BEGINS, TimedToken, words_from_tokens

any_speed = settings(deadline=None, database=None)
"""A busy machine is no failure."""

letters = st.one_of(
    st.sampled_from("abcAB12'-.,?! 你好。，！네요はいカ１Ａ"),
    st.characters(exclude_categories=("Z", "C"), exclude_characters=WORD_BEGINS),
)
pieces = st.lists(st.text(letters, min_size=1, max_size=6), max_size=40)
"""Texts of tokens; a space begins a word."""
steps_s = st.floats(0, 3)


@st.composite
def timed_tokens(draw: st.DrawFn) -> list[TimedToken]:
    """Tokens, each with its beginning and end, one after another."""
    texts = [text.replace(" ", WORD_BEGINS) for text in draw(pieces)]
    times_s = list(accumulate(draw(st.lists(steps_s, min_size=2 * len(texts), max_size=2 * len(texts)))))
    return [TimedToken(*each) for each in zip(texts, times_s[::2], times_s[1::2], strict=True)]


def spelled(tokens: list[TimedToken]) -> str:
    return "".join(token.text for token in tokens).replace(WORD_BEGINS, " ")


def squeezed(text: str) -> str:
    return "".join(text.split())


def spoken(text: str) -> str:
    return "".join(letter for letter in text if letter.isalnum())


def are_in_order(words: tuple[Word, ...], duration_s: float) -> bool:
    edges = [time for word in words for time in (word.start_s, word.end_s)]
    starts, ends = edges[::2], edges[1::2]
    return (
        all(0 <= a <= b <= duration_s for a, b in zip(starts, ends, strict=True))
        and starts == sorted(starts)
        and ends == sorted(ends)
    )


@any_speed
@given(timed_tokens(), st.floats(0, 100))
def test_words_spell_the_text_without_its_punctuation_and_their_times_never_go_back(
    tokens: list[TimedToken], duration_s: float
):
    words = words_from_tokens(spelled(tokens), tokens, duration_s)

    assert words is not None
    assert spoken("".join(word.word for word in words)) == spoken(spelled(tokens))
    assert are_in_order(words, duration_s)


@any_speed
@given(timed_tokens(), st.text(letters, max_size=20))
def test_tokens_that_spell_another_text_give_no_words(tokens: list[TimedToken], text: str):
    words = words_from_tokens(text, tokens, 9.0)

    assert (words is None) == (squeezed(text) != squeezed(spelled(tokens)))


@any_speed
@given(timed_tokens(), st.integers(0, 30), st.integers(0, 9))
def test_utterances_joined_are_the_text_and_its_words_and_do_not_overlap(
    tokens: list[TimedToken], duration_s: int, seed: int
):
    text = spelled(tokens).strip()
    sound = np.random.default_rng(seed).normal(0, 3000, 100)  # a level for each part of the audio
    pcm = np.repeat(sound.astype(np.int16), duration_s * SAMPLE_RATE_HZ // 100)
    whole = Segment(
        start_s=0.0, end_s=duration_s, text=text, words=words_from_tokens(text, tokens, duration_s), language="en"
    )
    cut = utterances(whole, WavAudio(pcm.tobytes()))

    assert squeezed("".join(each.text for each in cut)) == squeezed(text)
    assert tuple(word for each in cut for word in each.words or ()) == whole.words
    assert all(0 <= each.start_s <= each.end_s <= duration_s for each in cut)
    for before, after in pairwise(cut):
        assert before.words
        assert before.start_s <= after.start_s
        assert before.end_s <= max(after.start_s, before.words[-1].end_s), "only words may overlap: one token for both"

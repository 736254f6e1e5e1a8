import numpy as np
import pytest
from rapl_protocol.audio import WavAudio
from rapl_protocol.transcript import Segment, Word
from rapl_sensevoice.model.utterances import LONGEST_S, utterances

SILENCE = WavAudio(bytes(32_000 * 30))


def said(text: str, *starts_s: float, end_s: float = 30.0) -> Segment:
    """A segment in which each word takes a tenth of a second."""
    spoken = [part.strip(".,?!。") for part in text.split()]
    words = tuple(Word(word=w, start_s=at, end_s=at + 0.1) for w, at in zip(spoken, starts_s, strict=True))
    return Segment(start_s=0.0, end_s=end_s, text=text, words=words, language="en", emotion="happy", events=("bgm",))


def texts(segments: tuple[Segment, ...]) -> list[str]:
    return [segment.text for segment in segments]


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        (said("one two three", 1.0, 1.4, 1.8), ["one two three"]),
        (said("one two three", 1.0, 1.4, 2.4), ["one two", "three"]),
        (said("One two. Three", 1.0, 1.4, 1.8), ["One two.", "Three"]),
        (said("One, two three", 1.0, 1.4, 1.8), ["One, two three"]),
    ],
)
def test_an_utterance_ends_at_a_pause_and_after_a_sentence(segment, expected):
    assert texts(utterances(segment, SILENCE)) == expected


def test_a_long_utterance_is_cut_at_its_longest_gap():
    starts = [n * 0.4 for n in range(30)]
    starts[14:] = [start + 0.05 for start in starts[14:]]
    segments = utterances(said(" ".join("abcdefghijklmnopqrstuvwxyzABCD"), *starts), SILENCE)

    assert texts(segments)[0].endswith("n")
    assert all(segment.end_s - segment.start_s <= LONGEST_S for segment in segments)
    assert "".join(texts(segments)).replace(" ", "") == "abcdefghijklmnopqrstuvwxyzABCD"


def test_scripts_without_spaces_are_cut_too():
    words = tuple(
        Word(word=w, start_s=at, end_s=at + 0.1) for w, at in zip("你好谢谢", (1.0, 1.3, 3.0, 3.3), strict=True)
    )
    segment = Segment(start_s=0.0, end_s=4.0, text="你好。谢谢。", words=words)

    assert texts(utterances(segment, SILENCE)) == ["你好。", "谢谢。"]


def test_an_utterance_begins_with_its_first_word_and_ends_with_its_sound():
    sound = np.zeros(16_000 * 5, np.int16)
    sound[16_000 : round(16_000 * 1.72)] = 9_000  # the model's word is from 1.3 to 1.4 s
    segment = said("one two", 1.3, 3.0, end_s=5.0)

    first, second = utterances(segment, WavAudio(sound.tobytes()))

    assert (first.start_s, first.end_s) == (1.3, pytest.approx(1.72, abs=0.02))
    assert (second.start_s, second.end_s) == (3.0, pytest.approx(3.1))


def test_no_utterance_ends_after_the_next_one_begins():
    noise = WavAudio(np.full(16_000 * 5, 5_000, np.int16).tobytes())

    first, second = utterances(said("one two", 1.0, 1.6, end_s=1.9), noise)

    assert first.end_s <= second.start_s
    assert second.end_s <= 1.9


def test_language_emotion_and_events_are_those_of_the_segment():
    for segment in utterances(said("one two", 1.0, 3.0), SILENCE):
        assert (segment.language, segment.emotion, segment.events) == ("en", "happy", ("bgm",))


@pytest.mark.parametrize("words", [None, (), (Word(word="other", start_s=0.0, end_s=0.1),)])
def test_without_words_that_spell_the_text_there_is_one_segment(words):
    segment = Segment(start_s=0.0, end_s=9.0, text="one two", words=words)

    assert utterances(segment, SILENCE) == (segment,)

"""Replacements: what is found, how it is written, and that a text that grows has the same ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapl_gateway.transcription.replaced_transcript import with_replacements
from rapl_gateway.transcription.replacements import ReplacedText, Replacements
from rapl_protocol.transcript import Segment, Transcript, Word

TABLE = {
    "rappel": "RAPL",
    "eliza beth": "Elizabeth",
    "new york": "NYC",
    "new york city": "the Big Apple",
    "its": "it's",
    "um": "",
    "太乙": "太一",
    "C plus plus": "C++",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("we use rappel.", "we use RAPL."),
        ("rappelling and unrappel", "rappelling and unrappel"),
        ("rappel2 rappel_x", "rappel2 rappel_x"),
        ("Rappel's text", "RAPL's text"),
        ("(rappel)", "(RAPL)"),
        ("ELIZA BETH and Eliza  Beth", "ELIZABETH and Elizabeth"),
        ("eliza\nbeth", "Elizabeth"),
        ("in New York now", "in NYC now"),
        ("in new york city now", "in the Big Apple now"),
        ("New York City", "The Big Apple"),
        ("new york cit", "NYC cit"),
        ("Its late. its late. ITS", "It's late. it's late. IT'S"),
        ("这就是太乙真人", "这就是太一真人"),
        ("c plus plus", "C++"),
        ("rappel rappel", "RAPL RAPL"),
        ("", ""),
    ],
)
def test_a_phrase_is_replaced_where_it_stands_alone(text, expected):
    assert Replacements(TABLE).replaced(text) == expected


def test_what_was_put_in_place_is_not_replaced_again():
    assert Replacements({"a": "b", "b": "c"}).replaced("a b a") == "b c b"


def test_a_merged_table_overrides_the_same_phrase():
    merged = Replacements({"one": "1", "two": "2"}).merged({"two": "II"})

    assert merged.replaced("one two") == "1 II"


def test_only_what_may_begin_a_phrase_waits():
    text = ReplacedText(Replacements(TABLE))

    assert [text.add(each) for each in ("we go to new", " york", " or", " rappel", " ")] == [
        "we go to ", "", "NYC or", " ", "RAPL ",
    ]  # fmt: skip
    assert text.end() == ""


LETTERS = st.text(st.sampled_from("aAb 太 '.é\u0301"), max_size=5)
PHRASES = st.text(st.sampled_from("aAb 太"), min_size=1, max_size=5).filter(lambda text: text.strip() == text != "")


@given(st.dictionaries(PHRASES, LETTERS, max_size=5), st.lists(LETTERS, max_size=12))
def test_deltas_join_to_the_replaced_text(table, deltas):
    replacements = Replacements(table)
    text = ReplacedText(replacements)

    sent = [*(text.add(delta) for delta in deltas), text.end()]

    assert "".join(sent) == text.text == replacements.replaced("".join(deltas))


def timed(text: str, start_s: float = 0.0) -> Segment:
    words = tuple(
        Word(word=word, start_s=start_s + number, end_s=start_s + number + 1)
        for number, word in enumerate(text.split())
    )
    return Segment(start_s=start_s, end_s=start_s + len(words), text=text, words=words)


def replaced(*segments: Segment) -> Transcript:
    text = " ".join(segment.text.strip() for segment in segments)
    return with_replacements(Transcript(text=text, duration_s=9.0, segments=segments), Replacements(TABLE))


def test_words_that_are_replaced_together_are_one_word_with_the_time_of_all():
    [segment] = replaced(timed(" in New York, now")).segments

    assert segment.text == " in NYC, now"
    assert [(word.word, word.start_s, word.end_s) for word in segment.words] == [
        ("in", 0, 1), ("NYC,", 1, 3), ("now", 3, 4),
    ]  # fmt: skip


def test_as_many_words_keep_their_own_times():
    [segment] = replaced(timed("of New York City.")).segments

    assert [(word.word, word.start_s) for word in segment.words] == [
        ("of", 0), ("The", 1), ("Big", 2), ("Apple.", 3),
    ]  # fmt: skip


def test_a_word_that_is_replaced_by_nothing_is_left_out():
    [segment] = replaced(timed("so um yes")).segments

    assert [word.word for word in segment.words] == ["so", "yes"]


def test_a_phrase_across_two_segments_is_replaced_in_the_first():
    transcript = replaced(timed("I saw New"), timed("York today", 3.0))

    assert transcript.text == "I saw NYC today"
    assert [segment.text.strip() for segment in transcript.segments] == ["I saw NYC", "today"]
    assert [word.word for segment in transcript.segments for word in segment.words] == ["I", "saw", "NYC", "today"]


def test_words_of_a_script_without_spaces_are_found():
    words = tuple(Word(word=each, start_s=n, end_s=n + 1) for n, each in enumerate("是太乙真"))
    segment = Segment(start_s=0, end_s=4, text="是太乙真", words=words)
    [found] = with_replacements(
        Transcript(text="是太乙真", duration_s=4, segments=(segment,)), Replacements(TABLE)
    ).segments

    assert (found.text, [word.word for word in found.words]) == ("是太一真", ["是", "太一", "真"])


@given(st.dictionaries(PHRASES, LETTERS, max_size=4), st.lists(st.lists(PHRASES, min_size=1, max_size=6), max_size=4))
def test_segments_and_words_have_the_letters_of_the_text(table, drawn):
    segments = tuple(timed(" " + " ".join(words)) for words in drawn)
    text = " ".join(segment.text.strip() for segment in segments)

    found = with_replacements(Transcript(text=text, duration_s=9.0, segments=segments), Replacements(table))

    letters = "".join(found.text.split())
    assert found.text == Replacements(table).replaced(text)
    assert "".join("".join(segment.text.split()) for segment in found.segments) == letters
    assert "".join("".join(word.word.split()) for each in found.segments for word in each.words) == letters

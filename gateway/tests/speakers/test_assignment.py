"""Which words are given to which speaker. Nothing is lost, repeated or moved, whatever the turns are."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapl_gateway.speakers.assignment import Speakers, spoken_segments
from rapl_protocol.speakers import SpeakerTurn
from rapl_protocol.transcript import Segment, Word, join_texts


def turn(start_s: float, end_s: float, speaker: int, reference: int | None = None) -> SpeakerTurn:
    return SpeakerTurn(start_s=start_s, end_s=end_s, speaker=speaker, reference=reference)


def segment_of(words: Sequence[Word], text: str | None = None, events: tuple[str, ...] = ()) -> Segment:
    joined = " ".join(word.word for word in words) if text is None else text
    return Segment(
        start_s=words[0].start_s - 0.2, end_s=words[-1].end_s + 0.2, text=joined, words=tuple(words), events=events
    )


def words_each_second(text: str, start_s: float = 0.0) -> list[Word]:
    return [Word(word=word, start_s=start_s + n, end_s=start_s + n + 0.5) for n, word in enumerate(text.split())]


def said(segments: Sequence[Segment], *turns: SpeakerTurn, names: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    return [(each.speaker, each.segment.text.strip()) for each in spoken_segments(segments, Speakers(turns, names))]


TALK = segment_of(words_each_second("How are you? (Very) well, thanks."), "How are you? (Very) well, thanks.")


def test_a_segment_is_cut_where_the_speaker_changes():
    assert said([TALK], turn(0, 2.8, 0), turn(2.8, 6, 1)) == [("A", "How are you?"), ("B", "(Very) well, thanks.")]


def test_the_parts_have_their_own_times_and_the_segments_ends_stay():
    first, second = spoken_segments([TALK], Speakers((turn(0, 2.8, 0), turn(2.8, 6, 1))))

    assert (first.segment.start_s, first.segment.end_s) == (-0.2, 2.5)
    assert (second.segment.start_s, second.segment.end_s) == (3.0, 5.7)
    assert [word.word for word in second.segment.words or ()] == ["(Very)", "well,", "thanks."]


def test_a_word_belongs_to_who_speaks_for_most_of_it():
    assert said([TALK], turn(0, 2.2, 0), turn(2.2, 6, 1))[0] == ("A", "How are")


def test_where_two_people_speak_at_once_the_words_stay_with_who_spoke_before():
    assert said([TALK], turn(0, 4, 0), turn(1.8, 6, 1)) == [("A", "How are you? (Very)"), ("B", "well, thanks.")]


def test_a_word_in_silence_belongs_to_the_nearest_turn():
    assert said([TALK], turn(0, 1, 0), turn(4.4, 6, 1)) == [("A", "How are you?"), ("B", "(Very) well, thanks.")]


def test_a_segment_without_the_times_of_words_is_not_cut():
    whole = TALK.model_copy(update={"words": None})

    assert said([whole], turn(0, 2, 0), turn(2, 6, 1)) == [("A", TALK.text)]


def test_a_text_that_lacks_a_word_is_not_cut():
    other = TALK.model_copy(update={"text": "Something else."})

    assert said([other], turn(0, 2, 0), turn(2, 6, 1)) == [("A", "Something else.")]


def test_words_without_spaces_are_joined_without_spaces():
    words = [Word(word=character, start_s=n, end_s=n + 1) for n, character in enumerate("你好再见")]

    assert said([segment_of(words, "你好，再见。")], turn(0, 2, 0), turn(2, 4, 1)) == [("A", "你好，"), ("B", "再见。")]


def test_without_turns_one_person_says_everything():
    assert said([TALK, TALK]) == [("A", TALK.text), ("A", TALK.text)]


def test_letters_are_in_the_order_of_the_words_and_known_speakers_have_their_names():
    segments = [segment_of(words_each_second("one two three four"))]
    turns = turn(0, 0.1, 9), turn(0.1, 1, 4), turn(1, 2, 2, reference=1), turn(2, 3, 7), turn(3, 4, 4)

    assert said(segments, *turns, names=("Ada", "Grace")) == [
        ("A", "one"),
        ("Grace", "two"),
        ("B", "three"),
        ("A", "four"),
    ]


def test_a_letter_that_is_somebodys_name_is_nobody_elses():
    segments = [segment_of(words_each_second("one two three"))]
    turns = turn(0, 1, 0), turn(1, 2, 1, reference=0), turn(2, 3, 2)

    assert said(segments, *turns, names=("A",)) == [("B", "one"), ("A", "two"), ("C", "three")]


def test_after_z_comes_aa():
    segments = [segment_of(words_each_second("word " * 54))]
    labels = [speaker for speaker, _ in said(segments, *(turn(n, n + 1, n) for n in range(54)))]

    assert [*labels[:2], *labels[25:28], *labels[51:54]] == ["A", "B", "Z", "AA", "AB", "AZ", "BA", "BB"]


def test_two_voices_with_one_reference_are_one_person():
    turns = turn(0, 2, 0, reference=0), turn(2, 6, 1, reference=0)

    assert {speaker for speaker, _ in said([TALK], *turns, names=("Ada",))} == {"Ada"}


@pytest.mark.parametrize("reference", [1, 31])
def test_a_reference_that_was_never_sent_is_nobodys_name(reference: int):
    assert said([TALK], turn(0, 6, 0, reference=reference), names=("Ada",)) == [("A", TALK.text)]


def test_what_is_heard_besides_words_is_in_one_part_only():
    segment = TALK.model_copy(update={"events": ("laughter",)})
    parts = spoken_segments([segment], Speakers((turn(0, 2.8, 0), turn(2.8, 6, 1))))

    assert [each.segment.events for each in parts] == [("laughter",), ()]


_SECONDS = st.floats(0, 60, allow_nan=False)
_WORD = st.text("abc,.(é你好", min_size=1, max_size=4)


@st.composite
def _segments(draw: st.DrawFn) -> list[Segment]:
    found: list[Segment] = []
    for _ in range(draw(st.integers(0, 4))):
        texts = draw(st.lists(_WORD, min_size=1, max_size=8))
        separator = draw(st.sampled_from([" ", "", ", "]))
        starts = sorted(draw(st.lists(_SECONDS, min_size=len(texts), max_size=len(texts))))
        lengths = draw(st.lists(st.floats(0, 3), min_size=len(texts), max_size=len(texts)))
        words = [
            Word(word=text, start_s=start_s, end_s=start_s + length_s)
            for text, start_s, length_s in zip(texts, starts, lengths, strict=True)
        ]
        text = draw(st.sampled_from(["", " "])) + separator.join(texts) + draw(st.sampled_from(["", ".", "!)"]))
        found.append(segment_of(words, text))
    return found


@st.composite
def _turns(draw: st.DrawFn) -> list[SpeakerTurn]:
    edges = draw(st.lists(st.tuples(_SECONDS, st.floats(0, 10), st.integers(0, 4)), max_size=12))
    return sorted((turn(start_s, start_s + length_s, who) for start_s, length_s, who in edges), key=lambda t: t.start_s)


@given(segments=_segments(), turns=_turns())
def test_every_word_is_there_once_in_order_and_the_text_is_the_same(segments: list[Segment], turns: list[SpeakerTurn]):
    parts = [each.segment for each in spoken_segments(segments, Speakers(tuple(turns)))]

    assert [word for part in parts for word in part.words or ()] == [
        word for segment in segments for word in segment.words or ()
    ]
    assert "".join(part.text for part in parts) == "".join(segment.text for segment in segments)
    assert join_texts(segment.text for segment in segments) == join_texts(_rejoined(segments, parts))
    assert all(part.text.strip() and part.start_s <= part.end_s for part in parts)


def _rejoined(segments: Sequence[Segment], parts: Sequence[Segment]) -> list[str]:
    """The texts of the parts, with those of one segment joined as they are."""
    texts, rest = [], list(parts)
    for segment in segments:
        text = ""
        while text != segment.text:
            text += rest.pop(0).text
        texts.append(text)
    return texts

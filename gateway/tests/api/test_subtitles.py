"""Subtitles keep their rules, and stay readable for every player, whatever text and times an engine gives."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapl_gateway.api.subtitles.cues import own_cues, ruled_cues, word_cues
from rapl_gateway.api.subtitles.formats import to_srt, to_vtt
from rapl_gateway.api.subtitles.rules import SubtitleRules
from rapl_protocol.transcript import Segment, Word
from subtitle_checker import Limits, ShownCue, broken_rules, cues_in

SEGMENTS = st.lists(
    st.builds(
        Segment,
        start_s=st.floats(-1.0, 40_000.0),
        end_s=st.floats(-1.0, 40_000.0),
        text=st.text(st.sampled_from("ab 你->\n\r\u2028.1"), max_size=12),
    )
)
SRT_CUE = re.compile(r"(\d+)\n\d\d:\d\d:\d\d,\d{3} --> \d\d:\d\d:\d\d,\d{3}\n(.+)")
VTT_CUE = re.compile(r"\d\d:\d\d:\d\d\.\d{3} --> \d\d:\d\d:\d\d\.\d{3}\n(.+)")
ENGLISH = (
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, it "
    "was the epoch of belief, it was the epoch of incredulity. We had everything before us, we had nothing before us."
)
CHINESE = "今天是个好天气，我们一起去公园散步吧，因为天气预报说明天会下雨，所以后天我们只能在家里看书了。"
JAPANESE = "今日は天気が良いので公園まで歩いて行きましょうと母が言ったので私たちは急いで支度をしました。"
KOREAN = "오늘은 날씨가 좋아서 공원까지 걸어갑시다 라고 어머니가 말씀하셔서 우리는 서둘러 준비했습니다. " * 3
NAMES = ("max_line_chars", "max_lines", "max_cue_s", "min_cue_s", "max_chars_per_s")


def spoken(text: str, word_s: float = 0.3, start_s: float = 0.0, pauses_s: dict[int, float] | None = None) -> Segment:
    """A segment whose words, or characters of a script without spaces, are said one after another.

    Args:
        pauses_s: the pause before the word with this number.
    """
    is_spaceless = " " not in text.strip()
    parts = re.findall(r"\w", text) if is_spaceless else text.split()
    words: list[Word] = []
    at_s = start_s
    for number, part in enumerate(parts):
        at_s += (pauses_s or {}).get(number, 0.0)
        words.append(Word(word=part, start_s=at_s, end_s=at_s + word_s))
        at_s += word_s
    return Segment(start_s=start_s, end_s=at_s, text=text, words=tuple(words))


def shown(*segments: Segment, duration_s: float = 0.0, **rules: float) -> list[ShownCue]:
    """The cues of the file that is made of the segments."""
    return cues_in(to_srt(ruled_cues(segments, SubtitleRules(**rules), duration_s)))


def lines(cues: list[ShownCue]) -> list[str]:
    return [line for cue in cues for line in cue.lines]


def texts_of(segments: list[Segment]) -> list[str]:
    return [" ".join(each.text.split()).replace("-->", "->") for each in segments if each.text.strip()]


@given(SEGMENTS)
def test_each_segment_without_words_is_one_srt_cue(segments):
    for cues in (own_cues(segments), ruled_cues(segments, SubtitleRules(), 0.0)):
        found = [SRT_CUE.fullmatch(block) for block in to_srt(cues).strip("\n").split("\n\n") if block]

        assert [cue[2] for cue in found] == texts_of(segments)
        assert [int(cue[1]) for cue in found] == list(range(1, len(found) + 1))


@given(SEGMENTS)
def test_each_segment_without_words_is_one_vtt_cue(segments):
    header, *blocks = to_vtt(own_cues(segments)).strip("\n").split("\n\n")

    assert header == "WEBVTT"
    assert [VTT_CUE.fullmatch(block)[1] for block in blocks] == texts_of(segments)


@pytest.mark.parametrize(
    ("text", "word_s"),
    [(ENGLISH, 0.3), (CHINESE, 0.2), (CHINESE, 0.3), (JAPANESE, 0.15), (JAPANESE, 0.3), (KOREAN, 0.5)],
)
def test_cues_keep_every_rule_and_every_word(text, word_s):
    cues = shown(spoken(text, word_s))

    assert list(broken_rules(cues)) == []
    assert len(cues) > 1
    assert "".join("".join(lines(cues)).split()) == "".join(text.split())


def test_a_segment_whose_words_are_blank_is_one_cue():
    blank = Segment(start_s=1, end_s=2, text="left out", words=(Word(word=" ", start_s=1.2, end_s=1.5),))

    assert lines(shown(blank, duration_s=5)) == ["left out"]
    assert lines(shown(spoken("hello"), blank, duration_s=5)) == ["hello", "left out"]


def test_a_segment_that_keeps_the_rules_stays_as_it_is():
    segments = [
        spoken("A short one that stays.", start_s=1.0),
        spoken(ENGLISH, start_s=4.0),
        spoken("And this stays.", 0.4, start_s=30.0),
    ]

    cues = shown(*segments)

    assert cues[0] == ShownCue(1.0, 2.5, ("A short one that stays.",))
    assert cues[-1] == ShownCue(30.0, 31.2, ("And this stays.",))


def test_a_break_is_at_the_end_of_a_sentence_before_other_places():
    text = "One two three four five six seven eight nine ten. " + "One two three four five six seven."

    assert [cue.lines[-1][-1] for cue in shown(spoken(text))] == [".", "."]


def test_a_break_is_in_a_pause_where_no_punctuation_is():
    words = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    [first, *_] = shown(spoken(words, pauses_s={9: 0.7}))

    assert " ".join(first.lines) == "one two three four five six seven eight nine"


def test_a_line_does_not_end_with_a_short_word_that_belongs_to_the_next_one():
    for line in lines(
        shown(spoken("Under the roofs of the houses in the old part of the town lived a family of owls"))
    ):
        assert line.split()[-1] not in ("the", "of", "in", "a")


def test_a_line_breaks_between_phrases_where_a_script_has_no_spaces():
    assert not any(line[0] in "はがいのでをたま" for line in lines(shown(spoken(JAPANESE))))
    assert not any(line.endswith("天") or line.startswith("气") for line in lines(shown(spoken(CHINESE))))


def test_a_line_of_full_width_characters_has_half_as_many():
    assert max(len(line) for line in lines(shown(spoken(CHINESE)))) <= 21
    assert max(len(line) for line in lines(shown(spoken(CHINESE), max_line_chars=20))) <= 10


def test_punctuation_stays_with_its_word():
    for line in lines(shown(spoken(f"他说：「{CHINESE}」然后（{JAPANESE}）走了", 0.2), max_line_chars=16)):
        assert line[0] not in "，。：」）"
        assert line[-1] not in "「（"


def test_a_cue_that_is_too_short_is_shown_longer_if_nothing_follows():
    [cue] = shown(spoken("No.", 0.2, start_s=3.0), duration_s=10.0)

    assert (cue.start_s, cue.end_s) == (3.0, 3.833)


def test_a_cue_at_the_end_of_the_recording_is_shown_earlier_instead():
    [cue] = shown(spoken("No.", 0.4, start_s=3.0), duration_s=3.4)

    assert (cue.start_s, cue.end_s) == (2.567, 3.4)


def test_a_cue_does_not_end_before_it_begins_even_if_its_words_are_after_the_end_of_the_recording():
    [cue] = shown(spoken("No.", 0.4, start_s=3.0), duration_s=2.0)

    assert cue.start_s < cue.end_s <= 3.0


def test_a_cue_that_is_too_short_joins_its_neighbour_if_there_is_no_time_between_them():
    segments = [spoken("No.", 0.2), spoken("I never said that.", 0.3, start_s=0.2)]

    assert shown(*segments) == [ShownCue(0.0, 1.4, ("No. I never said that.",))]


def test_a_cue_does_not_show_words_long_before_they_are_said():
    cues = shown(spoken("So and then nothing at all", 0.2, pauses_s={1: 2.0}))

    assert cues[0].lines == ("So",)


def test_a_word_that_is_longer_than_a_line_is_kept_whole():
    text = "The word is " + "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen" + " and nothing else"
    cues = shown(spoken(text, 1.0))

    assert {each.rule for each in broken_rules(cues)} == {"max_line_chars"}
    assert "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen" in lines(cues)


def test_a_word_that_lasts_longer_than_a_cue_may_is_shown_for_that_long():
    assert [cue.shown_s for cue in shown(spoken("Wait", 12.0))] == [7.0]


@pytest.mark.parametrize("text", [ENGLISH, CHINESE])
def test_every_rule_can_be_changed(text):
    limits = Limits(max_line_chars=20, max_lines=3, max_cue_s=5.0, min_cue_s=1.2, max_chars_per_s=30.0)
    cues = shown(spoken(text), **{name: getattr(limits, name) for name in NAMES})

    assert list(broken_rules(cues, limits)) == []
    assert max(len(cue.lines) for cue in cues) == (3 if text is ENGLISH else 2)


def test_one_word_for_each_cue():
    cues = cues_in(to_srt(word_cues([spoken("one two three")])))

    assert [cue.lines for cue in cues] == [("one",), ("two",), ("three",)]


WORDS = st.lists(
    st.tuples(
        st.text(st.sampled_from("ab.,天気は이1-"), min_size=1, max_size=9),
        st.sampled_from([" ", "", " ", " ", "\n"]),
        st.floats(0.0, 1.0),
        st.floats(0.0, 2.5),
    ),
    min_size=1,
    max_size=60,
)


@st.composite
def segments_with_words(draw: st.DrawFn) -> list[Segment]:
    """Segments with words of any length, whose times may overlap."""
    found: list[Segment] = []
    at_s = 0.0
    for drawn in draw(st.lists(WORDS, max_size=4)):
        words: list[Word] = []
        for text, _, said_s, pause_s in drawn:
            words.append(Word(word=text, start_s=at_s, end_s=at_s + said_s))
            at_s += said_s * draw(st.sampled_from([1.0, 1.0, 0.5])) + pause_s * draw(st.sampled_from([0.0, 0.0, 1.0]))
        text = "".join(f"{space}{text}" for text, space, _, _ in drawn)
        found.append(Segment(start_s=words[0].start_s, end_s=words[-1].end_s, text=text, words=tuple(words)))
    return found


@given(segments_with_words())
def test_whatever_the_times_no_word_is_lost_and_only_time_can_be_too_short(segments):
    cues = shown(*segments)

    written = "".join(segment.text for segment in segments)
    assert "".join("".join(lines(cues)).split()) == "".join(written.split()).replace("-->", "->")
    assert all(before.end_s <= after.start_s for before, after in pairwise(cues))
    broken = {(each.rule, each.cue) for each in broken_rules(cues)}
    assert {rule for rule, _ in broken} <= {"max_line_chars", "min_cue_s", "max_chars_per_s"}
    for rule, number in broken:
        if rule == "max_line_chars":
            assert any(" " not in line for line in cues[number].lines)


def test_a_cue_lasts_until_the_end_of_its_segment_if_the_last_word_ends_earlier():
    segment = spoken("She left.", 0.5).model_copy(update={"end_s": 1.4})

    assert [(cue.start_s, cue.end_s) for cue in shown(segment, duration_s=10.0)] == [(0.0, 1.4)]

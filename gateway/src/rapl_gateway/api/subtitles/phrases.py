"""The phrases of a text, with their times: no cue and no line of a subtitle divides a phrase."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import accumulate

import budoux
from rapl_protocol.transcript import Segment

from rapl_gateway.api.subtitles.rules import width
from rapl_gateway.languages import is_spaceless
from rapl_gateway.speakers.text_parts import text_parts

_SENTENCE_ENDS = ".?!。？！…؟।"
_CLAUSE_ENDS = ",;:、，；：،—–"
_CLOSING = "\"'”’»）)]」』】》"
_THAI = ("\u0e00", "\u0e7f")
_KANA = ("\u3040", "\u30ff")
_SHORT_WORD = 3
"""Letters. Most words of this length are articles, prepositions and conjunctions, which belong to the word after them,
in all languages with spaces that engines transcribe."""
_IN_A_CLAUSE = 4.0
"""Cost of a break between two words without punctuation; two more cues cost as much."""
_PAUSE_S = 0.6
"""A pause of this length is as good a break as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A word with its punctuation; in a script without spaces between words, a phrase."""

    text: str
    """Without white space around it."""
    has_space: bool
    """Whether a space separates it from the phrase before it."""
    start_s: float
    end_s: float
    segment: int = 0
    """Number of the engine's segment that it belongs to."""
    segment_end_s: float = 0.0
    """End of that segment, for its last phrase; 0 for the others. Engines let the words of a segment end too early."""
    width: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "width", width(self.text))


def phrases_of(segments: Sequence[Segment], max_width: int) -> list[Phrase]:
    """Returns the phrases of consecutive segments, which must have words. Their starts are in order.

    Args:
        segments: the engine's segments.
        max_width: a phrase of several words that is wider than this is divided.
    """
    found: list[Phrase] = []
    for number, segment in enumerate(segments):
        for phrase in _phrases(segment, max_width):
            earliest_s = found[-1].start_s if found else 0.0
            start_s = max(phrase.start_s, earliest_s)
            begins_segment = bool(found) and found[-1].segment != number
            has_space = not _joins(found[-1].text, phrase.text) if begins_segment else phrase.has_space
            found.append(Phrase(phrase.text, has_space, start_s, max(start_s, phrase.end_s), number))
        if found and found[-1].segment == number:
            found[-1] = replace(found[-1], segment_end_s=max(found[-1].end_s, segment.end_s))
    return found


def joined(phrases: Sequence[Phrase]) -> str:
    return "".join(f" {each.text}" if n and each.has_space else each.text for n, each in enumerate(phrases))


def break_cost(before: Phrase, after: Phrase) -> float:
    """Returns how bad it is to end a cue or a line between two phrases: 0, at the end of a sentence or in a pause, to
    5.5."""
    end = before.text.rstrip(_CLOSING)[-1:]
    if end and end in _SENTENCE_ENDS:
        cost = 0.0
    elif (end and end in _CLAUSE_ENDS) or before.segment != after.segment:
        cost = 1.0
    else:
        cost = _IN_A_CLAUSE
        if after.has_space:
            cost += 1.5 * (len(before.text) <= _SHORT_WORD) - 0.5 * (len(after.text) <= _SHORT_WORD)
    pause_s = max(0.0, after.start_s - before.end_s)
    return max(0.0, cost - _IN_A_CLAUSE * min(1.0, pause_s / _PAUSE_S))


def _phrases(segment: Segment, max_width: int) -> Iterator[Phrase]:
    """Yields the words, joined where no line may break."""
    words = list(_words(segment))
    starts = _phrase_starts("".join(each.text for each in words))
    offsets = [0, *accumulate(len(each.text) for each in words)]
    group: list[Phrase] = []
    for word, offset in zip(words, offsets, strict=False):
        if group and not _is_one(group[-1].text, word, offset in starts):
            yield from _combined(group, max_width)
            group = []
        group.append(word)
    yield from _combined(group, max_width)


def _combined(group: Sequence[Phrase], max_width: int) -> Iterator[Phrase]:
    text = "".join(each.text for each in group)
    if len(group) < 2 or width(text) > max_width:
        yield from group
    else:
        yield replace(group[0], text=text, end_s=max(each.end_s for each in group))


def _is_one(before: str, word: Phrase, is_phrase_start: bool) -> bool:
    """Returns whether no line may break between a text and the word after it."""
    if word.has_space:
        return False
    if not (_may_break(before[-1]) or _may_break(word.text[0])):
        return True
    return not is_phrase_start


def _words(segment: Segment) -> Iterator[Phrase]:
    """Yields the words as they are in the text, with the punctuation around them."""
    words = [word for word in segment.words or () if word.word.strip()]
    parts = text_parts(segment.text, words)
    if parts is None:
        before = ""
        for word in words:
            text = " ".join(word.word.split())
            yield Phrase(text, not _joins(before, text), word.start_s, word.end_s)
            before = text
        return
    for word, part in zip(words, parts, strict=True):
        yield Phrase(" ".join(part.split()), part[:1].isspace(), word.start_s, word.end_s)


def _phrase_starts(text: str) -> set[int]:
    """Returns the offsets at which a phrase of a script without spaces begins."""
    if not any(map(_may_break, text)):
        return set()
    return {0, *accumulate(map(len, _parser(_script(text)).parse(text)))}


def _script(text: str) -> str:
    if any(_KANA[0] <= character <= _KANA[1] for character in text):
        return "ja"
    return "th" if any(_THAI[0] <= character <= _THAI[1] for character in text) else "zh"


@cache
def _parser(script: str) -> budoux.Parser:
    match script:
        case "ja":
            return budoux.load_default_japanese_parser()
        case "th":
            return budoux.load_default_thai_parser()
        case _:
            return budoux.load_default_simplified_chinese_parser()


def _joins(before: str, after: str) -> bool:
    """Returns whether no space separates two texts."""
    return not before or not after or _may_break(before[-1]) or _may_break(after[0])


def _may_break(character: str) -> bool:
    """Returns whether a line may break beside a character without a space: a letter of a script without spaces, or one
    of its full-width marks."""
    is_mark = not character.isalnum() and width(character) == 2
    return is_mark or is_spaceless(character)

"""Decides which words of an open turn are settled, so that they can be sent and never change.

An open turn is transcribed again and again, each time with more audio. Each text is a hypothesis: its end changes when
more is heard. A word is settled when two hypotheses in a row have it and it is not near their end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import takewhile

from rapl_gateway.realtime.units import Unit, text_of, units_of, words_in

_HELD_WORDS = 2
"""Words at the end of a hypothesis that are not settled. Measured: see docs/decisions/0007."""
_HELD_CHARACTERS = 4
"""The same in scripts without spaces between words."""
_AFTER_NUMERAL = 2
"""Words after a number that fix it. "twenty" becomes "20", then "21", then "21 May"."""
_BAND = 64
"""Most characters by which two texts of the same speech are shifted against each other."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """The text of all audio of an open turn so far."""

    text: str
    language: str | None = None
    """ISO 639 code that the engine detected; None if it reported none."""


class Settling:
    """The settled text of one turn, or of one part of a long one. It only grows."""

    def __init__(self) -> None:
        self._settled: list[Unit] = []
        self._before: list[Unit] = []
        """What the hypothesis before has after the settled text."""
        self._language_before: str | None = None
        self.text = ""
        """Everything that `add`, `stream` and `finish` returned, joined."""
        self.language: str | None = None
        """The language of the settled text; None if nothing is settled, or if the engine reported none."""
        self.settled = 0
        """Words that are settled by hypotheses; in scripts without spaces, characters."""
        self.disagreed = 0
        """How many of these the final text has otherwise. Known after `finish`."""

    def add(self, hypothesis: Hypothesis) -> str:
        """Adds the next hypothesis. Returns the text that it settles, which may be ""."""
        units = units_of(hypothesis.text.strip())
        rest = units[position_after(self._settled, units) :]
        is_same_language = hypothesis.language == self._language_before
        count = _count_settled(self._before, rest) if is_same_language else 0
        self._before, self._language_before = rest[count:], hypothesis.language
        if not count:
            return ""
        self.language = self.language or hypothesis.language
        self.settled += len(words_in(rest[:count]))
        return self._grow(rest[:count])

    def stream(self, text: str) -> str:
        """Adds the beginning of the final text, as far as it is decoded. Returns what it adds, which may be "". Nothing
        is added before all of the settled text is decoded again, or if it is decoded differently."""
        text = text.strip()
        if not text.startswith(self.text):
            return ""
        units = units_of(text)
        start = position_after(self._settled, units)
        if text_of(units[:start]) != self.text:
            return ""
        rest = units[start : len(units) - 1]  # the last word may be incomplete
        return self._grow(_without_marks_at_end(rest))

    def finish(self, text: str) -> str:
        """Adds the final text. Returns what it adds to the settled text, which may be ""."""
        units = units_of(text.strip())
        start = position_after(self._settled, units)
        self.disagreed = _disagreed(self._settled, units[:start], self.settled)
        return self._grow(units[start:])

    def _grow(self, units: Sequence[Unit]) -> str:
        if not units:
            return ""
        added = text_of(units)
        if self.text and not added[0].isspace() and _needs_space(self._settled[-1], units[0]):
            added = " " + added
        self._settled += units
        self.text += added
        return added


def position_after(settled: Sequence[Unit], units: Sequence[Unit]) -> int:
    """Returns the number of units of a text that say what the settled ones say.

    Where the two differ, the settled text is compared with every beginning of the other one, letter by letter without
    marks and spaces. The most similar one counts; of several, the longest, so that nothing is said twice.
    """
    if not settled:
        return 0
    same = sum(1 for _ in takewhile(lambda pair: pair[0].raw == pair[1].raw, zip(settled, units, strict=False)))
    if same == len(settled):
        return same
    rest, others = settled[same:], units[same:]
    return same + _most_similar("".join(unit.key for unit in rest), others)


def _most_similar(key: str, units: Sequence[Unit]) -> int:
    """Returns how many of the units together are most similar to `key`, by the number of different characters."""
    ends = [0]
    for unit in units:
        ends.append(ends[-1] + len(unit.key))
    other = "".join(unit.key for unit in units)[: len(key) + _BAND]
    costs = _prefix_distances(key, other)
    best, best_cost = 0, costs[0]
    for count in range(1, len(units) + 1):
        if ends[count] > len(other):
            break
        if units[count - 1].key and costs[ends[count]] <= best_cost:
            best, best_cost = count, costs[ends[count]]
    return best


def _prefix_distances(key: str, other: str) -> list[int]:
    """Returns the edit distance of `key` to each beginning of `other`, from "" on. Distances of texts that are shifted
    against each other by more than _BAND are only an upper bound."""
    far = len(key) + len(other) + 1
    row = list(range(len(other) + 1))
    for i, character in enumerate(key, 1):
        first, last = max(1, i - _BAND), min(len(other), i + _BAND)
        above, row = row, [far] * (len(other) + 1)
        row[0] = i
        for j in range(first, last + 1):
            changed = above[j - 1] + (character != other[j - 1])
            row[j] = min(changed, above[j] + 1, row[j - 1] + 1)
    return row


def _count_settled(before: Sequence[Unit], rest: Sequence[Unit]) -> int:
    """Returns how many units of `rest`, from its start, are settled: those that the hypothesis before has too, without
    what is held back at the end."""
    agreed = sum(1 for _ in takewhile(lambda pair: pair[0].raw == pair[1].raw, zip(before, rest, strict=False)))
    count = min(agreed, _before_the_edge(rest))
    return len(_without_marks_at_end(rest[: _before_open_numeral(rest[:count])]))


def _before_the_edge(units: Sequence[Unit]) -> int:
    """Returns the number of units before those that are held back because more audio may change them."""
    held = 0.0
    for count in range(len(units), 0, -1):
        if held >= 1.0:
            return count
        if units[count - 1].key:
            held += 1 / (_HELD_CHARACTERS if units[count - 1].is_character else _HELD_WORDS)
    return 0


def _without_marks_at_end(units: Sequence[Unit]) -> Sequence[Unit]:
    """A full stop may become a comma as long as no word follows."""
    end = len(units)
    while end and not units[end - 1].key:
        end -= 1
    return units[:end]


def _before_open_numeral(units: Sequence[Unit]) -> int:
    """Returns the number of units before the first number that too few words follow to fix it. In a row of numbers,
    each counts as half a word."""
    count, words_after = len(units), 0.0
    for index in range(len(units) - 1, -1, -1):
        if words_after >= _AFTER_NUMERAL:
            break
        if units[index].is_numeral:
            count = index
            words_after += 0.5
        elif units[index].key:
            words_after += 1.0
    return count


def _disagreed(settled: Sequence[Unit], final: Sequence[Unit], count: int) -> int:
    """Returns how many of the first `count` settled words are not in the final text at their place."""
    words = words_in(settled)[:count]
    matcher = SequenceMatcher(None, words, words_in(final), autojunk=False)
    return count - sum(block.size for block in matcher.get_matching_blocks())


def _needs_space(last: Unit, following: Unit) -> bool:
    """Within one text, two words always have a space or a mark between them; texts of two passes may not."""
    return bool(last.key and following.key) and not (last.is_character or following.is_character)

"""The smallest parts of a text that are settled and sent: words, marks, and single characters in scripts without
spaces between words."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rapl_gateway.languages import is_spaceless

_NUMERAL = re.compile(
    r"zero|oh|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty|"
    r"seventy|eighty|ninety|hundred|thousand|[mb]illion|point|percent|dollars?|euros?|pounds?|cents?|double|triple|"
    r"half|quarter|first|second|third|.*\d.*|.*[零〇一二三四五六七八九十百千万萬亿億两兩点點第].*"
)
"""English and Chinese words that engines may write as digits."""
_IN_WORDS = frozenset("'’")
_IN_NUMBERS = frozenset(".,:/'’")


@dataclass(frozen=True, slots=True)
class Unit:
    """A word, a mark, or a character of a script without spaces."""

    raw: str
    """As it stands in the text, with the white space before it."""
    key: str
    """For comparison, without white space and case; "" for a mark."""
    is_character: bool
    """Whether it belongs to a script without spaces between words."""

    @property
    def is_numeral(self) -> bool:
        """Whether engines may write it otherwise when they have heard what follows."""
        return _NUMERAL.fullmatch(self.key) is not None


def units_of(text: str) -> list[Unit]:
    """Returns the units of the text. Joined, they are the text without white space at its end."""
    return list(_units(text))


def text_of(units: Iterable[Unit]) -> str:
    return "".join(unit.raw for unit in units)


def words_in(units: Iterable[Unit]) -> list[str]:
    """Returns the keys of the units that are no marks."""
    return [unit.key for unit in units if unit.key]


def _units(text: str) -> Iterator[Unit]:
    at = 0
    while at < len(text):
        start = at
        while at < len(text) and text[at].isspace():
            at += 1
        if at == len(text):
            return
        first, body = text[at], at
        at += 1
        is_character = is_spaceless(first)
        is_word = is_character or first.isalnum()
        while at < len(text) and _continues(text, at, is_word=is_word, is_character=is_character):
            at += 1
        key = unicodedata.normalize("NFKC", text[body:at]).casefold() if is_word else ""
        yield Unit(text[start:at], key, is_character)


def _continues(text: str, at: int, *, is_word: bool, is_character: bool) -> bool:
    """Returns whether the character at `at` belongs to the same unit as the one before it."""
    character = text[at]
    if unicodedata.category(character) in ("Mn", "Mc", "Me"):
        return True
    if not is_word or is_character or is_spaceless(character):
        return False
    if character.isalnum():
        return True
    before, after = text[at - 1], text[at + 1 : at + 2]
    if before.isdecimal() and after.isdecimal():
        return character in _IN_NUMBERS
    return character in _IN_WORDS and before.isalnum() and after.isalnum() and not is_spaceless(after)

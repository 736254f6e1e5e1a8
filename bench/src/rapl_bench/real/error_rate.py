"""Word and character error rates.

Texts are compared after: Unicode NFKC, lower case, numbers spelt out, simplified Chinese characters, and no
punctuation. Chinese, Japanese and Korean are compared by characters without spaces, other languages by words.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, partial

import jiwer
import num2words
import opencc

BY_CHARACTER = frozenset({"zh", "yue", "ja", "ko"})
_WITH_SPELT_NUMBERS = frozenset({"de", "en", "es", "fr", "it", "pt", "ru"})
_ENGLISH_SIGNS = {
    "%": " percent ",
    "=": " equals ",
    "×": " times ",
    "+": " plus ",
    "&": " and ",
    "*": " star ",
    "#": " pound ",
}
"""As they are read aloud; the last two are keys of a telephone."""
_NUMBER = re.compile(r"(?P<digits>\d+(?:,\d{3})*(?:\.\d+)?)(?P<ordinal>st|nd|rd|th)?\b")
_IN_WORDS = ("'", "’")
"""Apostrophes are removed; all other punctuation separates words."""


@dataclass(frozen=True, slots=True)
class Errors:
    """Errors in some texts together."""

    count: int
    """Substitutions, deletions and insertions."""
    length: int
    """Words or characters of the references."""

    @property
    def rate(self) -> float:
        """1.0 stands for as many errors as the references have words; inserted words can make it larger."""
        return self.count / self.length if self.length else float(self.count > 0)


def errors(reference: str, text: str, language: str | None, *, by_character: bool = False) -> Errors:
    """Compares words, or characters in the languages of BY_CHARACTER and if `by_character` is set."""
    expected, found = normalized(reference, language), normalized(text, language)
    if by_character:
        expected, found = list("".join(expected)), list("".join(found))
    if not expected:
        return Errors(len(found), 0)
    result = jiwer.process_words(" ".join(expected), " ".join(found))
    return Errors(result.substitutions + result.deletions + result.insertions, len(expected))


def total(parts: Iterable[Errors]) -> Errors:
    counted = list(parts)
    return Errors(sum(part.count for part in counted), sum(part.length for part in counted))


def normalized(text: str, language: str | None) -> list[str]:
    """The words, or the characters in the languages of BY_CHARACTER."""
    text = unicodedata.normalize("NFKC", text).lower()
    if language == "en":
        for sign, word in _ENGLISH_SIGNS.items():
            text = text.replace(sign, word)
    if language in _WITH_SPELT_NUMBERS:
        text = _NUMBER.sub(partial(_spelt_out, language), text)
    if language == "zh":
        text = _to_simplified().convert(text)
    for apostrophe in _IN_WORDS:
        text = text.replace(apostrophe, "")
    text = "".join(" " if unicodedata.category(char)[0] in "PSC" else char for char in text)
    return list("".join(text.split())) if language in BY_CHARACTER else text.split()


def _spelt_out(language: str, number: re.Match[str]) -> str:
    digits = number["digits"].replace(",", "")
    value = float(digits) if "." in digits else int(digits)
    return " " + num2words.num2words(value, lang=language, to="ordinal" if number["ordinal"] else "cardinal") + " "


@cache
def _to_simplified() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")

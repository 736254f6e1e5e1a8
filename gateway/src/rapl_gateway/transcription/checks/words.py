"""The words of a text, and phrases that are repeated again and again."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

_WORD = re.compile(r"\w+(?:['’-]\w+)*")
_LOOP_WORDS = 8
"""Fewest words in a loop. People repeat a word a few times; a model that loops does not stop."""
_LOOP_REPEATS = 4
"""Fewest repetitions of one or two words; of a longer phrase, one fewer."""


def words_of(text: str) -> list[str]:
    """Returns the words in lower case, without punctuation. In scripts without spaces between words, each character
    counts as one word."""
    if text.isascii():
        return _WORD.findall(text.casefold())
    found: list[str] = []
    for word in _WORD.findall(text.casefold()):
        found += list(word) if unicodedata.east_asian_width(word[0]) == "W" else [word]
    return found


def loop_words(words: Sequence[str]) -> int:
    """Returns the number of words in the longest loop: one phrase, repeated without a break. 0 if there is no loop."""
    return max((length for length in _loops(words)), default=0)


def _loops(words: Sequence[str]) -> Iterator[int]:
    for period in range(1, len(words) // (_LOOP_REPEATS - 1) + 1):
        repeats = _LOOP_REPEATS if period <= 2 else _LOOP_REPEATS - 1
        run = longest = 0
        for before, now in zip(words, words[period:], strict=False):
            run = run + 1 if before == now else 0
            longest = max(longest, run)
        repeated = longest + period
        if repeated >= max(_LOOP_WORDS, repeats * period):
            yield repeated

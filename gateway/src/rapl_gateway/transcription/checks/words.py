"""The words of a text, and phrases that are repeated again and again."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

_WORD = re.compile(r"\w+(?:['’-]\w+)*")
_MOST_CHARACTERS = 10_000
"""Most characters of a text that are judged. A fast speaker says a tenth of it in a segment, so that a longer text is
in doubt without a look at its rest: another server may return any text, and judging must not take long."""
MOST_COMPARED_WORDS = 400
"""Most words that are compared with each other, which takes the square of the time. It is more than anybody says in a
segment: 300 at the fastest speech rate."""
_LOOP_WORDS = 8
"""Fewest words in a loop. People repeat a word a few times; a model that loops does not stop."""
_LOOP_REPEATS = 4
"""Fewest repetitions of one or two words; of a longer phrase, one fewer."""


def judged_part(text: str) -> str:
    """Returns the beginning of the text, as much of it as is judged. It is all of it unless the text is far too long
    for a segment."""
    return text[:_MOST_CHARACTERS]


def words_of(text: str) -> list[str]:
    """Returns the words of the judged part in lower case, without punctuation. In scripts without spaces between words,
    each character counts as one word."""
    text = judged_part(text)
    if text.isascii():
        return _WORD.findall(text.casefold())
    found: list[str] = []
    for word in _WORD.findall(text.casefold()):
        found += list(word) if unicodedata.east_asian_width(word[0]) == "W" else [word]
    return found


def loop_words(words: Sequence[str]) -> int:
    """Returns the number of words in the longest loop: one phrase, repeated without a break. 0 if there is no loop.
    A loop has to begin within the first MOST_COMPARED_WORDS words, and counts up to there."""
    return max((length for length in _loops(words[:MOST_COMPARED_WORDS])), default=0)


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

"""Divides a text into the parts that belong to its words."""

import unicodedata
from collections.abc import Sequence
from itertools import pairwise

from rapl_protocol.transcript import Word


def text_parts(text: str, words: Sequence[Word]) -> list[str] | None:
    """Returns one part of the text for each word: the word with the punctuation and the space before it. The parts,
    concatenated, are the text.

    Args:
        text: of an engine's segment.
        words: the words of the same segment, at least one. None of them is blank.

    Returns:
        None if the text does not have all of the words in this order.
    """
    spans = _spans(text, words)
    if not spans:
        return None
    cuts = [0, *(_cut(text, end, start) for (_, end), (start, _) in pairwise(spans)), len(text)]
    return [text[begin:end] for begin, end in pairwise(cuts)]


def _spans(text: str, words: Sequence[Word]) -> list[tuple[int, int]] | None:
    """Returns where each word is in the text; None if the text does not have all of them."""
    spans: list[tuple[int, int]] = []
    at = 0
    for word in words:
        start = text.find(word.word.strip(), at)
        if start < 0:
            return None
        at = start + len(word.word.strip())
        spans.append((start, at))
    return spans


def _cut(text: str, end: int, start: int) -> int:
    """Returns where the part of a word ends that ends at `end`, if the next word begins at `start`. An opening bracket
    belongs to the next word, other punctuation to this one."""
    between = text[end:start]
    for offset, character in enumerate(between):
        if character.isspace() or unicodedata.category(character) in ("Ps", "Pi"):
            return end + offset
    return start

"""The phrases of keywords: how the model may write them, as tokens of its vocabulary."""

import math
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from rapl_sensevoice.keywords.context_graph import ContextGraph, Phrase, TokenEdges
from rapl_sensevoice.model.vocabulary import Vocabulary

ONE_TOKEN_BONUS = 0.1
"""Of a keyword that is one token, in nats. The model was trained with this word, and no other token supports it."""
BONUS = 2.5
"""Of a keyword of several tokens that is like no other one, in nats (decision 0018)."""
SHARE = 1.5
"""Keywords that are alike lose this many times the logarithm of their number."""
_KEPT_GRAPHS = 16

_Writings = frozenset[tuple[int, ...]]
_Pattern = tuple[int | None, ...]


class Keywords:
    """Makes the context graphs of requests, and keeps the latest ones, because every segment needs the same one."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._edges = TokenEdges.of([vocabulary.piece(token) for token in range(vocabulary.size)])
        self.graph = lru_cache(_KEPT_GRAPHS)(self._graph)

    def _graph(self, keywords: tuple[str, ...]) -> ContextGraph | None:
        """Returns the graph of these keywords; None if the model can write none of them."""
        listed = list(filter(None, dict.fromkeys(map(self._writings, keywords))))
        phrases = [
            Phrase(tokens, bonus)
            for writings, bonus in zip(listed, bonuses(listed), strict=True)
            for tokens in writings
            if bonus > 0
        ]
        return ContextGraph(phrases, self._edges) if phrases else None

    def _writings(self, keyword: str) -> _Writings:
        """Returns the tokens of the keyword in every writing. All get the same bonus, so that the most probable one is
        chosen."""
        encoded = (self._vocabulary.tokens(text) for text in dict.fromkeys(_writings(keyword)))
        return frozenset(tokens for tokens in encoded if tokens)


def bonuses(listed: Sequence[_Writings]) -> list[float]:
    """Returns the bonus of each keyword, in nats.

    Keywords that are alike in all tokens but one share the bonus: if each had the whole of it, one of them would fit
    by chance almost everywhere.
    """
    keywords_of: defaultdict[_Pattern, set[int]] = defaultdict(set)
    for number, writings in enumerate(listed):
        for pattern in _patterns(writings):
            keywords_of[pattern].add(number)
    return [_bonus(writings, keywords_of) for writings in listed]


def _bonus(writings: _Writings, keywords_of: Mapping[_Pattern, set[int]]) -> float:
    if min(map(len, writings)) == 1:
        return ONE_TOKEN_BONUS
    alike = {number for pattern in _patterns(writings) for number in keywords_of[pattern]}
    return max(0.0, BONUS - SHARE * math.log(len(alike)))


def _patterns(writings: _Writings) -> Iterator[_Pattern]:
    """Yields each writing of several tokens without one of them."""
    for tokens in writings:
        if len(tokens) > 1:
            yield from ((*tokens[:at], None, *tokens[at + 1 :]) for at in range(len(tokens)))


def _writings(keyword: str) -> Iterator[str]:
    """Yields the keyword in other cases and scripts, each at the beginning of a word and within a text without spaces.

    Full-width letters become ordinary ones, as in the model's own normalisation of its training texts.
    """
    plain = " ".join(unicodedata.normalize("NFKC", keyword).split())
    for text in (plain, *_chinese(plain)):
        for cased in (text, text.lower(), text.upper(), text.capitalize(), text.title(), text[:1].upper() + text[1:]):
            yield f" {cased}"
            yield cased


def _chinese(text: str) -> Iterable[str]:
    """Yields a text with Chinese characters in simplified and in traditional ones."""
    if any("\u3400" <= character <= "\u9fff" for character in text):
        yield from (converter.convert(text) for converter in _converters())


@lru_cache(1)
def _converters() -> Sequence[Any]:
    import opencc

    return opencc.OpenCC("t2s"), opencc.OpenCC("s2t")

"""The phrases of keywords: how the model may write them, as tokens of its vocabulary."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from rapl_sensevoice.keywords.context_graph import ContextGraph, Phrase, TokenEdges
from rapl_sensevoice.model.vocabulary import Vocabulary

BONUS_PER_TOKEN = 1.5
"""In nats (decision 0018)."""
_KEPT_GRAPHS = 16


class Keywords:
    """Makes the context graphs of requests, and keeps the latest ones, because every segment needs the same one."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._edges = TokenEdges.of([vocabulary.piece(token) for token in range(vocabulary.size)])
        self.graph = lru_cache(_KEPT_GRAPHS)(self._graph)

    def _graph(self, keywords: tuple[str, ...]) -> ContextGraph | None:
        """Returns the graph of these keywords; None if the model can write none of them."""
        phrases = [phrase for keyword in keywords for phrase in self._phrases(keyword)]
        return ContextGraph(phrases, self._edges) if phrases else None

    def _phrases(self, keyword: str) -> Iterator[Phrase]:
        """Yields the keyword in every writing, all with the same bonus, so that the most probable writing is chosen."""
        encoded = (self._vocabulary.tokens(text) for text in dict.fromkeys(_writings(keyword)))
        found = {tokens for tokens in encoded if tokens}
        if found:
            bonus = BONUS_PER_TOKEN * min(map(len, found))
            yield from (Phrase(tokens, bonus) for tokens in found)


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

"""Parakeet accepts only audio and returns each token's times. Source: mlx_audio/stt/models/nemo/alignment.py, 0.6.2."""

from collections.abc import Iterable, Iterator
from typing import Any

from rapl_protocol.models import Capabilities
from rapl_protocol.transcript import Segment, TranscribeOptions, Transcript, Word

from rapl_mlx.families.results import NonStreamingFamily, make_segment, make_transcript, make_word


class Parakeet(NonStreamingFamily):
    capabilities = Capabilities(word_timestamps=True)

    def arguments(self, options: TranscribeOptions, duration_s: float) -> dict[str, Any]:
        return {"verbose": False}

    def transcript(self, result: Any, options: TranscribeOptions, duration_s: float) -> Transcript:
        segments = (_segment(sentence, options, duration_s) for sentence in result.sentences)
        return make_transcript(result.text, None, duration_s, segments)


def _segment(sentence: Any, options: TranscribeOptions, duration_s: float) -> Segment | None:
    words = list(_words(sentence.tokens, duration_s)) if options.word_timestamps else None
    return make_segment(sentence.start, sentence.end, sentence.text.strip(), None, duration_s, words)


def _words(tokens: Iterable[Any], duration_s: float) -> Iterator[Word | None]:
    """Joins tokens into words. The first token of a word begins with a space."""
    text, start_s, end_s = "", 0.0, 0.0
    for token in tokens:
        if text.strip() and token.text.startswith(" "):
            yield make_word(text, start_s, end_s, duration_s)
            text = ""
        if not text.strip():
            start_s = token.start
        text, end_s = text + token.text, token.end
    yield make_word(text, start_s, end_s, duration_s)

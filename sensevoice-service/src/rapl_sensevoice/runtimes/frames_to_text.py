"""From the most probable tokens of each frame to the text: the same for every runtime."""

import numpy as np

from rapl_sensevoice.keywords.best_path import best_path
from rapl_sensevoice.model.decoding import FrameTokens, emissions, text_tokens
from rapl_sensevoice.model.graph import QUERIES
from rapl_sensevoice.model.vocabulary import Vocabulary
from rapl_sensevoice.runtimes.runtime import Decoded, DecodeRequest

TOKENS_ON_REQUEST = 8
"""Tokens for each frame among which the words of keywords and the allowed languages are searched (decision 0018)."""
_NO_SPEECH = "<|nospeech|>"


def tokens_per_frame(request: DecodeRequest) -> int:
    """Returns how many tokens the model must find for each frame. One, unless a request needs the others too."""
    return TOKENS_ON_REQUEST if request.graph or len(request.languages) > 1 else 1


def forced_language(frames: FrameTokens, request: DecodeRequest, vocabulary: Vocabulary) -> str | None:
    """Returns the most probable of the allowed languages, if the model detected another one; then the clip must be
    decoded again in that language. None if the detected language is allowed, or if there is no speech."""
    detected = vocabulary.piece(int(frames.tokens[0, 0]))
    if not request.languages or detected == _NO_SPEECH or detected in map(_tag, request.languages):
        return None
    found = [vocabulary.piece(int(token)) for token in frames.tokens[0]]
    return next((tag[2:-2] for tag in found if tag in map(_tag, request.languages)), request.languages[0])


def decoded(frames: FrameTokens, request: DecodeRequest, forced: str | None, vocabulary: Vocabulary) -> Decoded:
    """Returns the text, with the keywords of the request, and the path from which its times and probabilities come.

    Args:
        frames: of the tags and the text.
        forced: the language in which the clip was decoded again, see `forced_language`. It becomes the text's language.
        vocabulary: the model's.
    """
    tags = FrameTokens(frames.tokens[:QUERIES, :1], frames.log_probs[:QUERIES, :1])
    text = FrameTokens(frames.tokens[QUERIES:, :1], frames.log_probs[QUERIES:, :1])
    if request.graph and vocabulary.piece(int(tags.tokens[0, 0])) != _NO_SPEECH:
        text = best_path(FrameTokens(frames.tokens[QUERIES:], frames.log_probs[QUERIES:]), request.graph)
    tokens = np.concatenate([tags.tokens, text.tokens])
    if forced and (tag := vocabulary.token(_tag(forced))) is not None:
        tokens[0, 0] = tag
    emitted = emissions(FrameTokens(tokens, np.concatenate([tags.log_probs, text.log_probs])))
    path = text_tokens(emitted, vocabulary)
    rich_text = vocabulary.text([each.token for each in emitted])
    return Decoded(rich_text, path if request.with_times else None, path)


def _tag(language: str) -> str:
    return f"<|{language}|>"

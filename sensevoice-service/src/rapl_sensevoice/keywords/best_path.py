"""The most probable path through the frames of a clip, with the bonuses of a context graph.

Without bonuses this path is the most probable token of each frame. A path with other tokens is better only by the bonus
of a complete phrase. So keywords that do not occur leave the text as it is, to the letter.
"""

from dataclasses import dataclass

import numpy as np

from rapl_sensevoice.keywords.context_graph import ROOT, ContextGraph, Flags, Ints, Numbers
from rapl_sensevoice.model.decoding import BLANK, FrameTokens
from rapl_sensevoice.model.filter_bank import Floats

PATHS = 16
"""Most paths that are continued at each frame."""
NO_TOKEN = -1
_MOST_TOKENS = 1 << 20


@dataclass(slots=True)
class _Paths:
    """The paths that are continued; each array is (paths,). Two of them differ in state, last token or `is_blank`."""

    states: Ints
    """In the context graph."""
    last_tokens: Ints
    """The last token that is not a blank, or NO_TOKEN."""
    is_blank: Flags
    """Whether the last frame is a blank."""
    scores: Numbers
    """Log-probabilities plus bonuses."""


def best_path(frames: FrameTokens, graph: ContextGraph) -> FrameTokens:
    """Returns one token for each frame: those of the path with the highest log-probability plus bonuses.

    Args:
        frames: several tokens for each frame, without the frames of the tags.
        graph: the keywords.
    """
    paths = _Paths(np.array([ROOT]), np.array([NO_TOKEN]), np.array([False]), np.zeros(1))
    parents: list[Ints] = []
    chosen: list[Ints] = []
    """For each frame and path: which of the frame's tokens it has."""
    is_candidate = graph.has_token[frames.tokens] | (frames.tokens == BLANK)
    is_candidate[:, 0] = True
    for tokens, log_probs, usable in zip(frames.tokens, frames.log_probs, is_candidate, strict=True):
        columns = np.flatnonzero(usable)
        paths, parent, column = _continued(paths, tokens[columns].astype(np.int64), log_probs[columns], graph)
        parents.append(parent)
        chosen.append(columns[column])
    at = int(np.argmax(paths.scores + graph.refund(paths.states)))
    columns = np.zeros(len(parents), np.int64)
    for frame in reversed(range(len(parents))):
        columns[frame] = chosen[frame][at]
        at = parents[frame][at]
    at_columns = np.arange(len(columns)), columns
    return FrameTokens(frames.tokens[at_columns][:, None], frames.log_probs[at_columns][:, None])


def _continued(paths: _Paths, tokens: Ints, log_probs: Floats, graph: ContextGraph) -> tuple[_Paths, Ints, Ints]:
    """Continues each path with each token of the frame, and returns the best ones.

    Returns also, for each of them, the path that it continues, and the index of its token.
    """
    following, bonuses = graph.step(paths.states, paths.last_tokens, tokens)
    blank = np.broadcast_to(tokens == BLANK, following.shape)
    is_repeated = (paths.last_tokens[:, None] == tokens) & ~paths.is_blank[:, None]
    is_same = blank | is_repeated  # the text of the path stays the same
    states = np.where(is_same, paths.states[:, None], following).ravel()
    last_tokens = np.where(blank, paths.last_tokens[:, None], tokens).ravel()
    scores = (paths.scores[:, None] + log_probs + np.where(is_same, 0.0, bonuses)).ravel()
    is_blank = blank.ravel()
    kept = _best(scores, scores + graph.refund(states), (states * _MOST_TOKENS + last_tokens + 1) * 2 + is_blank)
    parent, token = np.divmod(kept, len(tokens))
    return _Paths(states[kept], last_tokens[kept], is_blank[kept], scores[kept]), parent, token


def _best(scores: Numbers, refunded: Numbers, kinds: Ints) -> Ints:
    """Returns the indices of the best path of each kind, at most PATHS.

    The path that is best without bonuses of incomplete phrases is always among them.
    """
    order = np.argsort(-scores, kind="stable")
    _, first = np.unique(kinds[order], return_index=True)
    kept = order[np.sort(first)][:PATHS]
    safe = int(np.argmax(refunded))
    if safe not in kept:
        kept[-1] = safe
    return kept

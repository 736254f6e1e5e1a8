"""Greedy CTC decoding: from the most probable tokens of each frame to the text's tokens with their times."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from rapl_sensevoice.model.features import FRAME_MS
from rapl_sensevoice.model.filter_bank import Floats
from rapl_sensevoice.model.graph import QUERIES
from rapl_sensevoice.model.vocabulary import Vocabulary
from rapl_sensevoice.model.words import TimedToken

BLANK = 0


@dataclass(frozen=True, slots=True)
class FrameTokens:
    """The most probable tokens of each frame of a clip, the most probable one first. The first frames are the tags."""

    tokens: npt.NDArray[np.int32]
    """(frames, count)"""
    log_probs: Floats
    """(frames, count), natural logarithms; finite, at most 0."""

    @classmethod
    def from_logits(cls, logits: Floats, count: int) -> "FrameTokens":
        """Finds the tokens in the logits of all tokens, (frames, tokens)."""
        tokens = logits.argmax(axis=1)[:, None] if count == 1 else np.stack([_highest(row, count) for row in logits])
        log_probs = np.take_along_axis(logits, tokens, axis=1)
        for row, found in zip(logits, log_probs, strict=True):  # row by row, because one of 50 MB is slower
            found -= row.max() + np.log(np.exp(row - row.max()).sum())
        return cls(tokens.astype(np.int32), log_probs)


def _highest(row: Floats, count: int) -> npt.NDArray[np.intp]:
    """Returns the indices of the highest values, the highest first; of equal values, the first one first."""
    at_least = np.partition(row, -count)[-count]
    found = np.flatnonzero(row >= at_least)
    return found[np.argsort(-row[found], kind="stable")][:count]


@dataclass(frozen=True, slots=True)
class Emission:
    """A token and the frames in which it was the most probable one."""

    token: int
    first_frame: int
    end_frame: int
    """The first frame after it."""
    log_prob: float
    """The highest log-probability that it has in these frames."""


def emissions(frames: FrameTokens) -> tuple[Emission, ...]:
    """Merges repetitions and drops blanks.

    The times need no forced alignment. An alignment is the most probable path that emits these tokens, and the most
    probable token of each frame is already this path.
    """
    found = []
    log_probs = frames.log_probs[:, 0].tolist()
    at = 0
    for token, run in groupby(frames.tokens[:, 0].tolist()):
        end = at + sum(1 for _ in run)
        if token != BLANK:
            found.append(Emission(token, at, end, max(log_probs[at:end])))
        at = end
    return tuple(found)


def text_tokens(emitted: Sequence[Emission], vocabulary: Vocabulary) -> tuple[TimedToken, ...]:
    """Returns the emitted tokens without tags. A frame is centred on its time, as in FunASR."""

    def seconds(frame: int) -> float:
        return max(0.0, (frame - QUERIES) * FRAME_MS - FRAME_MS / 2) / 1000

    pieces = ((vocabulary.piece(each.token), each) for each in emitted if each.first_frame >= QUERIES)
    return tuple(
        TimedToken(piece, seconds(each.first_frame), seconds(each.end_frame), each.log_prob)
        for piece, each in pieces
        if not piece.startswith("<|")
    )

"""Greedy CTC decoding: from the most probable token of each frame to tokens with their times."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

BLANK = 0


@dataclass(frozen=True, slots=True)
class Emission:
    """A token and the frames in which it was the most probable one."""

    token: int
    first_frame: int
    end_frame: int
    """The first frame after it."""


def emissions(tokens: Sequence[int]) -> tuple[Emission, ...]:
    """Merges repetitions and drops blanks.

    The times need no forced alignment. An alignment is the most probable path that emits these tokens, and the most
    probable token of each frame is already this path.
    """
    found = []
    at = 0
    for token, run in groupby(tokens):
        end = at + sum(1 for _ in run)
        if token != BLANK:
            found.append(Emission(token, at, end))
        at = end
    return tuple(found)

"""Cuts what each person of a window says alone into pieces of about a second, of which embeddings are computed.

The audio of a piece belongs to one person and to one piece, so nothing is computed twice. Where two people speak at
once, both voices are in the audio: such times belong to the nearest piece of the person, but are no part of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rapl_speakers.networks.compiled import PIECE_FRAMES, Bools
from rapl_speakers.networks.segmentation import FIRST_FRAME_SAMPLES, FRAME_SAMPLES

Numbers = npt.NDArray[np.intp]
FRAME_S = FRAME_SAMPLES / 16_000
_FIRST_S = (FIRST_FRAME_SAMPLES - FRAME_SAMPLES) / 2 / 16_000
_MOST_FRAMES = int(PIECE_FRAMES / 100 / FRAME_S)
_SHORT_FRAMES = int(0.7 / FRAME_S)
"""A part of less than 0.7 s says little about a voice."""


@dataclass(frozen=True, slots=True)
class VoicePiece:
    """What an embedding is computed of. Times are seconds in the window."""

    alone: tuple[tuple[float, float], ...]
    """The audio of the piece."""
    spoken: tuple[tuple[float, float], ...]
    """All times that get the piece's label: the audio, and overlaps near it."""

    @property
    def seconds(self) -> float:
        return sum(end_s - start_s for start_s, end_s in self.alone)


def pieces_of(people: Bools) -> Iterator[list[VoicePiece]]:
    """The pieces of each person of a window who speaks.

    Args:
        people: (frames, people), see `SegmentationNetwork.people`.
    """
    is_alone = people.sum(axis=1) == 1
    for speaks in people.T:
        frames = np.flatnonzero(speaks)
        if not len(frames):
            continue
        alone = np.flatnonzero(speaks & is_alone)
        parts = _parts(alone if len(alone) else frames)
        # Each frame gets the label of the part whose middle is the nearest.
        nearest = np.abs(frames[:, None] - np.array([np.mean(part) for part in parts])).argmin(axis=1)
        for number, part in enumerate(parts):
            nearest[np.isin(frames, part)] = number
        yield [VoicePiece(_runs(part), _runs(frames[nearest == number])) for number, part in enumerate(parts)]


def _parts(frames: Numbers) -> list[Numbers]:
    """Cuts at pauses, because another person may speak after one, and where a run is too long. Short runs that follow
    each other are one part."""
    parts: list[Numbers] = []
    for run in np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1):
        for part in np.array_split(run, -(-len(run) // _MOST_FRAMES)):
            both = len(parts[-1]) + len(part) if parts else 0
            if parts and both <= _MOST_FRAMES and min(len(parts[-1]), len(part)) < _SHORT_FRAMES:
                parts[-1] = np.concatenate([parts[-1], part])
            else:
                parts.append(part)
    return parts


def _runs(frames: Numbers) -> tuple[tuple[float, float], ...]:
    """Times of runs of consecutive frames."""
    runs = np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1)
    return tuple((_FIRST_S + run[0] * FRAME_S, _FIRST_S + (run[-1] + 1) * FRAME_S) for run in runs if len(run))

"""Cuts the speech of a recording into windows for the segmentation, which hears ten seconds at once."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rapl_speakers.networks.checkpoint import Floats

RATE_HZ = 16_000
WINDOW_S = 10.0
LONGEST_GAP_S = 0.5
"""Silence between two parts of speech is shortened to this."""


@dataclass(frozen=True, slots=True)
class Window:
    """Up to ten seconds of speech, with shortened silences."""

    samples: Floats
    """[-1, 1]"""
    starts: tuple[tuple[float, float], ...]
    """Where each part begins: seconds in the window, seconds in the recording."""

    def in_recording(self, at_s: float, *, is_end: bool = False) -> float:
        """The time in the recording of a time in the window. A time in a shortened silence is the part's end."""
        start = self.starts[0]
        for each in self.starts:
            if each[0] < at_s or (each[0] == at_s and not is_end):
                start = each
        return start[1] + at_s - start[0]


class Windows:
    """Collects parts of speech, and gives a window whenever one is full.

    Args:
        longest_s: the longest window, in seconds.
    """

    def __init__(self, longest_s: float = WINDOW_S) -> None:
        self._most = int(longest_s * RATE_HZ)
        self._samples = np.empty(0, np.float32)
        self._starts: list[tuple[float, float]] = []
        self._end_s = 0.0

    def add(self, start_s: float, pcm: bytes | memoryview) -> Iterator[Window]:
        """Adds a part. What was already given, of an overlap with the part before, is left out.

        Args:
            pcm: s16le, 16 kHz.
        """
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
        known = max(0, round((self._end_s - start_s) * RATE_HZ))
        samples, start_s = samples[known:], start_s + known / RATE_HZ
        gap = min(LONGEST_GAP_S, start_s - self._end_s)
        self._end_s = start_s + len(samples) / RATE_HZ
        if self._starts:
            self._samples = np.append(self._samples, np.zeros(round(max(0.0, gap) * RATE_HZ), np.float32))
        while len(samples):
            if self._is_full():
                yield self._taken()
            room = self._most - len(self._samples)
            self._starts.append((len(self._samples) / RATE_HZ, start_s))
            self._samples = np.append(self._samples, samples[:room])
            samples, start_s = samples[room:], start_s + room / RATE_HZ

    def rest(self) -> Iterator[Window]:
        """The last window, if there is one."""
        if self._starts:
            yield self._taken()

    def _is_full(self) -> bool:
        return len(self._samples) >= self._most

    def _taken(self) -> Window:
        window = Window(self._samples[: self._most], tuple(self._starts))
        self._samples, self._starts = np.empty(0, np.float32), []
        return window

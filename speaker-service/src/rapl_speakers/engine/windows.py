"""Cuts the speech of a recording into windows for the segmentation, which hears ten seconds at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rapl_speakers.networks.checkpoint import Floats

RATE_HZ = 16_000
WINDOW_S = 10.0
LONGEST_GAP_S = 0.5
"""Silence between two parts of speech is shortened to this."""


class Part(NamedTuple):
    """Where audio of the recording lies in a window."""

    in_window_s: float
    in_recording_s: float
    duration_s: float


@dataclass(frozen=True, slots=True)
class Window:
    """Up to ten seconds of speech, with shortened silences."""

    samples: Floats
    """[-1, 1]"""
    parts: tuple[Part, ...]
    """In the order of time. What lies between two of them is silence."""

    def in_recording(self, start_s: float, end_s: float) -> Iterator[tuple[float, float]]:
        """The times in the recording of a time in the window: one for each part that it touches."""
        for part in self.parts:
            first_s = max(start_s - part.in_window_s, 0.0)
            last_s = min(end_s - part.in_window_s, part.duration_s)
            if first_s < last_s:
                yield part.in_recording_s + first_s, part.in_recording_s + last_s


class Windows:
    """Collects parts of speech, and gives a window whenever one is full.

    Args:
        longest_s: the longest window, in seconds.
    """

    def __init__(self, longest_s: float = WINDOW_S) -> None:
        self._most = int(longest_s * RATE_HZ)
        self._samples = np.empty(0, np.float32)
        self._parts: list[Part] = []
        self._end_s = 0.0

    def add(self, start_s: float, pcm: bytes | memoryview) -> Iterator[Window]:
        """Adds a part. What was already given, of an overlap with the part before, is left out.

        Args:
            pcm: s16le, 16 kHz.
        """
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)
        known = max(0, round((self._end_s - start_s) * RATE_HZ))
        samples, start_s = samples[known:], start_s + known / RATE_HZ
        gap = min(LONGEST_GAP_S, start_s - self._end_s)
        self._end_s = start_s + len(samples) / RATE_HZ
        if self._parts:
            self._samples = np.concatenate([self._samples, np.zeros(round(max(0.0, gap) * RATE_HZ), np.float32)])
        while len(samples):
            if self._is_full():
                yield self._taken()
            room = self._most - len(self._samples)
            taken = samples[:room]
            self._parts.append(Part(len(self._samples) / RATE_HZ, start_s, len(taken) / RATE_HZ))
            self._samples = np.concatenate([self._samples, taken])
            samples, start_s = samples[room:], start_s + room / RATE_HZ

    def rest(self) -> Iterator[Window]:
        """The last window, if there is one."""
        if self._parts:
            yield self._taken()

    def _is_full(self) -> bool:
        return len(self._samples) >= self._most

    def _taken(self) -> Window:
        window = Window(self._samples[: self._most], tuple(self._parts))
        self._samples, self._parts = np.empty(0, np.float32), []
        return window

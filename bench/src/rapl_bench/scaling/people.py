"""People who dictate, and archives that are transcribed at night: when audio arrives on a synthetic day.

Source of the intervals: https://github.com/thefrederiksen/devthrottle/issues/2930, of 4,766 dictations of real people.
"""

import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

NEXT_WITHIN = ((0.0, 0.0), (30.0, 0.24), (60.0, 0.44), (120.0, 0.65), (300.0, 0.84), (600.0, 0.92))
"""The next dictation of a person begins within so many seconds, with this probability. The published figures."""
LONGEST_PAUSE_S = 7200.0
"""Assumption: the pauses of over ten minutes (8 %) are spread evenly up to two hours, by their logarithm."""
CLIP_MEDIAN_S, CLIP_SIGMA, LONGEST_CLIP_S = 6.0, 0.6, 30.0
"""Assumption: lengths of dictations have a log-normal distribution. Their mean is then about 7 s."""
HOUR_S = 3600.0


def pause_s(source: random.Random) -> float:
    """Returns the time from one dictation of a person to the next, in seconds."""
    part = source.random()
    for (start_s, below), (end_s, up_to) in itertools.pairwise(NEXT_WITHIN):
        if part < up_to:
            return start_s + (end_s - start_s) * (part - below) / (up_to - below)
    last_s, below = NEXT_WITHIN[-1]
    return last_s * (LONGEST_PAUSE_S / last_s) ** ((part - below) / (1 - below))


def mean_pause_s() -> float:
    """Returns the mean of `pause_s`, exactly."""
    steps = itertools.pairwise(NEXT_WITHIN)
    known_s = sum((start_s + end_s) / 2 * (up_to - below) for (start_s, below), (end_s, up_to) in steps)
    last_s, below = NEXT_WITHIN[-1]
    return known_s + (1 - below) * (LONGEST_PAUSE_S - last_s) / math.log(LONGEST_PAUSE_S / last_s)


def clip_s(source: random.Random) -> float:
    """Returns the length of a dictation, in seconds."""
    return min(LONGEST_CLIP_S, source.lognormvariate(math.log(CLIP_MEDIAN_S), CLIP_SIGMA))


@dataclass(frozen=True, slots=True)
class Day:
    """A day: people dictate from morning to evening, and an archive is transcribed at night."""

    people: int
    archive_hours: float
    """Hours of audio, sent from `archive_begins_s` on."""
    starts_s: float = 8 * HOUR_S
    """People begin within an hour after this time, and work for nine hours with an hour's rest at noon."""
    archive_begins_s: float = 20 * HOUR_S
    archive_clients: int = 4
    """So many recordings are sent at once."""
    recording_s: float = HOUR_S
    length_s: float = 24 * HOUR_S
    seed: int = 0

    def dictations(self, person: int) -> Iterator[tuple[float, float]]:
        """Yields when each dictation of a person ends, in seconds since midnight, and its length in seconds."""
        source = random.Random(f"{self.seed} day of person {person}")
        begins_s = self.starts_s + source.uniform(0, HOUR_S)
        rest_s, ends_s = begins_s + source.uniform(3.5, 4.5) * HOUR_S, begins_s + 9 * HOUR_S
        at_s = begins_s + pause_s(source)
        while at_s < ends_s:
            if not rest_s < at_s < rest_s + HOUR_S:
                yield at_s, clip_s(source)
            at_s += pause_s(source)

    def recordings(self, client: int) -> int:
        """Returns how many recordings this client of the archive sends, one after the other."""
        count = round(self.archive_hours * HOUR_S / self.recording_s)
        return count // self.archive_clients + (client < count % self.archive_clients)

"""How wrong turns are: the diarization error rate by pyannote.metrics, its parts, and its confidence interval.

Rates are pooled: errors of all recordings in seconds, divided by all speech. A mean of recordings would let one with
little speech decide.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate

from rapl_bench.groups.speakers.mixtures import Turns

COLLARS_S = (0.0, 0.25)
"""The whole width around each boundary that is not counted, in seconds."""
_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Score:
    """Of one recording. Times are seconds."""

    speech_s: float
    confusion_s: float
    missed_s: float
    false_alarm_s: float
    extra_people: int
    """People found minus people who speak."""

    @property
    def wrong_s(self) -> float:
        return self.confusion_s + self.missed_s + self.false_alarm_s


def score(truth: Turns, found: Turns, duration_s: float, collar_s: float) -> Score:
    metric = DiarizationErrorRate(collar=collar_s, skip_overlap=False)
    audio = Timeline([Segment(0, duration_s)])
    parts: Any = metric(_annotation(truth), _annotation(found), uem=audio, detailed=True)
    extra = len({name for *_, name in found}) - len({name for *_, name in truth})
    return Score(
        parts["total"], parts["confusion"], parts["missed detection"], parts["false alarm"], extra
    )  # fmt: skip


def error_rate(scores: Sequence[Score]) -> float:
    """The diarization error rate of all recordings together."""
    return sum(each.wrong_s for each in scores) / max(1e-9, sum(each.speech_s for each in scores))


def confusion(scores: Sequence[Score]) -> float:
    """The share of speech that is given to a wrong person."""
    return sum(each.confusion_s for each in scores) / max(1e-9, sum(each.speech_s for each in scores))


def within_one(scores: Sequence[Score]) -> float:
    """The share of recordings in which the number of people is right or off by one."""
    return sum(abs(each.extra_people) <= 1 for each in scores) / len(scores)


def interval(first: Sequence[Score], second: Sequence[Score] | None = None) -> tuple[float, float]:
    """The 95 % interval of an error rate, or of the difference of two on the same recordings."""

    def rate(chosen: Sequence[int]) -> float:
        found = error_rate([first[each] for each in chosen])
        return found - error_rate([second[each] for each in chosen]) if second else found

    return resampled(len(first), rate)


def resampled(number: int, figure: Callable[[Sequence[int]], float]) -> tuple[float, float]:
    """The 95 % interval of a figure of `number` recordings, by the bootstrap.

    Args:
        figure: computes it from the indices of the recordings that were drawn.
    """
    random = np.random.default_rng(0)
    found = [figure(random.integers(number, size=number).tolist()) for _ in range(_RESAMPLES)]
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)


def _annotation(turns: Turns) -> Annotation:
    annotation = Annotation()
    for number, (start_s, end_s, name) in enumerate(turns):
        if end_s > start_s:
            annotation[Segment(start_s, end_s), number] = name
    return annotation

"""The rule of Kubernetes' HorizontalPodAutoscaler, to which KEDA gives the metric.

Source: https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/#algorithm-details and
https://keda.sh/docs/latest/concepts/scaling-deployments/.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")

TOLERANCE = 0.1
"""The number of replicas stays if it would change by less than this part. Kubernetes' default."""


@dataclass(frozen=True, slots=True)
class AutoscalerSettings:
    """As in a ScaledObject with two triggers of the type AverageValue. The one that wants more replicas decides.

    Both read `sum(rapl_queue_audio_seconds)`: the seconds of audio that the gateways have accepted and not finished. A
    replica that is busy all the time has one clip in progress, and longer clips are in progress for longer. Of clips
    with a mean of 7 s it has 10 s at each moment. So 5 s for each replica mean that half of their time is used,
    however fast they are, and 25 s mean that clips wait.
    """

    usual_s: float = 5.0
    """Seconds of audio for each replica, on average over `average_s`: for load that changes slowly."""
    sudden_s: float = 25.0
    """Seconds of audio for each replica at the moment: for load that begins suddenly."""
    wait_s: float | None = None
    """If it is set, one trigger of the type Value decides instead of the two: the seconds of audio in the queue by the
    measured throughput. The number of replicas grows by the factor by which that is above this time."""
    least: int = 1
    most: int = 20
    poll_s: float = 30.0
    """Seconds between two looks at the metric."""
    average_s: float = 1200.0
    """The time of `avg_over_time` in the query of the first trigger."""
    load_s: float = 30.0
    """Seconds until a new replica has loaded its model and is known to the gateways."""
    calm_s: float = 1800.0
    """`stabilizationWindowSeconds` of `scaleDown`: the highest number that was wanted in this time is kept."""
    factor: float = 4.0
    """Most replicas after a poll, as a multiple of those before it: a policy of `scaleUp`."""


@dataclass(slots=True)
class Autoscaler:
    """Computes how many replicas there should be."""

    settings: AutoscalerSettings
    replicas: int
    _seen: deque[tuple[float, float]] = field(default_factory=deque[tuple[float, float]])
    """When each value of the metric was seen, within `average_s`."""
    _wanted: deque[tuple[float, int]] = field(default_factory=deque[tuple[float, int]])
    """When each number was wanted, within `calm_s`."""

    def poll(self, now_s: float, queued_s: float, wait_s: float = 0.0) -> int:
        """Returns the number of replicas after a poll.

        Args:
            now_s: the time in seconds.
            queued_s: seconds of audio that wait or are in progress.
            wait_s: the same audio, divided by the seconds of audio that are transcribed in a second.
        """
        rule = self.settings
        ratio = self._ratio(now_s, queued_s, wait_s)
        is_near = abs(ratio / self.replicas - 1) <= TOLERANCE
        wanted = min(rule.most, max(rule.least, self.replicas if is_near else math.ceil(ratio)))
        _keep(self._wanted, now_s, wanted, rule.calm_s)
        if wanted > self.replicas:
            self.replicas = min(wanted, math.ceil(self.replicas * rule.factor))
        else:
            self.replicas = min(self.replicas, max(each for _, each in self._wanted))
        return self.replicas

    def _ratio(self, now_s: float, queued_s: float, wait_s: float) -> float:
        """Returns how many replicas the metric wants, before rounding."""
        rule = self.settings
        if rule.wait_s is not None:
            return self.replicas * wait_s / rule.wait_s
        _keep(self._seen, now_s, queued_s, rule.average_s)
        average_s = sum(value for _, value in self._seen) / len(self._seen)
        return max(average_s / rule.usual_s, queued_s / rule.sudden_s)


def _keep(values: deque[tuple[float, T]], now_s: float, value: T, for_s: float) -> None:
    """Adds a value, and removes those that are older than `for_s`."""
    values.append((now_s, value))
    while values[0][0] <= now_s - for_s:
        values.popleft()

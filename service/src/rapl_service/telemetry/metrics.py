"""The metrics of one service process. Counters cost a microsecond; gauges are read when Prometheus asks for them."""

from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from rapl_service.telemetry import catalog
from rapl_service.telemetry.catalog import MAX_MODELS, OTHER, MetricSpec

Family = CounterMetricFamily | GaugeMetricFamily


class ModelLabels:
    """The values of the label `model`: ids that the service knows, and at most MAX_MODELS of them.

    Args:
        is_known: whether the service has this model. Other ids are texts of a client.
    """

    def __init__(self, is_known: Callable[[str], bool]) -> None:
        self._is_known = is_known
        self._labels: set[str] = set()

    def label(self, model: str | None) -> str:
        if not model or model in self._labels:
            return model or ""
        if len(self._labels) >= MAX_MODELS or not self._is_known(model):
            return OTHER
        self._labels.add(model)
        return model


class Counts:
    """A counter. It keeps the object of each combination of labels, because looking it up costs more than counting."""

    def __init__(self, spec: MetricSpec, registry: CollectorRegistry) -> None:
        self._counter = Counter(spec.name, spec.meaning, spec.labels, registry=registry)
        self._children: dict[tuple[str, ...], Counter] = {}

    def add(self, *labels: str, by: float = 1.0) -> None:
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._counter.labels(*labels) if labels else self._counter
        child.inc(by)


class Observations:
    """A histogram, which keeps its objects as `Counts` does."""

    def __init__(self, spec: MetricSpec, registry: CollectorRegistry) -> None:
        self._histogram = Histogram(spec.name, spec.meaning, spec.labels, registry=registry, buckets=spec.buckets)
        self._children: dict[tuple[str, ...], Histogram] = {}

    def add(self, value: float, *labels: str) -> None:
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._histogram.labels(*labels) if labels else self._histogram
        child.observe(value)


class Metrics:
    """The metrics that every service has, and the registry for those of one service.

    Args:
        is_known_model: whether the service has this model.
    """

    def __init__(self, is_known_model: Callable[[str], bool]) -> None:
        disable_created_metrics()  # they would double the number of series, and nothing here needs them
        self.registry = CollectorRegistry(auto_describe=False)
        self.models = ModelLabels(is_known_model)
        self.in_progress = 0
        self._requests = self.counts(catalog.REQUESTS)
        self._request_s = self.observations(catalog.REQUEST_SECONDS)
        self._audio_s = self.counts(catalog.AUDIO_SECONDS)
        ProcessCollector(registry=self.registry)
        self.registry.register(_InProgress(self))

    def counts(self, spec: MetricSpec) -> Counts:
        return Counts(spec, self.registry)

    def observations(self, spec: MetricSpec) -> Observations:
        return Observations(spec, self.registry)

    def count_request(self, route: str, status: int, took_s: float, fields: dict[str, Any]) -> None:
        """Counts a request that has ended.

        Args:
            route: the template of its route.
            status: the HTTP status.
            took_s: seconds from its start to its end.
            fields: the fields of its log line. `model`, `error` and `audio_s` are used.
        """
        model, code = self.models.label(fields.get("model")), fields.get("error", "")
        self._requests.add(route, model, str(status), code)
        self._request_s.add(took_s, route)
        if not code and (audio_s := fields.get("audio_s")):
            self._audio_s.add(model, by=audio_s)


class _InProgress(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Family]:
        in_progress = family(catalog.REQUESTS_IN_PROGRESS)
        in_progress.add_metric([], self._metrics.in_progress)
        yield in_progress


def family(spec: MetricSpec) -> Family:
    """An empty metric, to which a collector adds values when it is read."""
    kind = CounterMetricFamily if spec.kind == "counter" else GaugeMetricFamily
    return kind(spec.name, spec.meaning, labels=spec.labels)

"""The gateway's metrics that are read when Prometheus asks for them: queues, replicas, retries and fallbacks."""

from collections.abc import Iterator

from prometheus_client.registry import Collector
from rapl_service.telemetry import catalog
from rapl_service.telemetry.catalog import MetricSpec
from rapl_service.telemetry.metrics import Family, family

from rapl_gateway.backends.backend import Backend
from rapl_gateway.gateway import Gateway
from rapl_gateway.speakers.service import NAME, SpeakerService


class GatewayCollector(Collector):
    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def collect(self) -> Iterator[Family]:
        families = {spec: family(spec) for spec in _OF_BACKENDS}
        for backend in self._gateway.backends:
            for spec, labels, value in _values(backend):
                families[spec].add_metric([backend.name, *labels], value)
        preprocess = self._gateway.preprocess
        for code, count in preprocess.retries.items():
            families[catalog.RETRIES].add_metric([preprocess.service.name, code], count)
        if speakers := self._gateway.speakers:
            for spec, labels, value in _values_of_speakers(speakers):
                families[spec].add_metric([NAME, *labels], value)
        yield from families.values()
        yield self._fallbacks()
        stored = family(catalog.STORED_UPLOADS)
        stored.add_metric([], self._gateway.storage.used_bytes)
        yield stored

    def _fallbacks(self) -> Family:
        fallbacks = family(catalog.FALLBACKS)
        other_model = sum(backend.scheduler.fallbacks for backend in self._gateway.backends)
        for kind, count in {"other_model": other_model, **self._gateway.pipeline.fallbacks}.items():
            fallbacks.add_metric([kind], count)
        return fallbacks


_OF_BACKENDS = (
    catalog.QUEUE_AUDIO, catalog.QUEUE_SEGMENTS, catalog.QUEUE_LIMIT, catalog.THROUGHPUT, catalog.BACKEND_AUDIO,
    catalog.BACKEND_FAILURES, catalog.RETRIES, catalog.SLOTS, catalog.REPLICAS,
)  # fmt: skip


def _values(backend: Backend) -> Iterator[tuple[MetricSpec, tuple[str, ...], float]]:
    """Yields the metric, the labels besides `backend`, and the value."""
    scheduler = backend.scheduler
    yield catalog.QUEUE_AUDIO, (), scheduler.queued.total_s
    yield catalog.QUEUE_SEGMENTS, (), scheduler.waiting_segments
    yield catalog.QUEUE_LIMIT, (), backend.queue_limit_s()
    if time_per_second_s := scheduler.time_s(1.0):
        yield catalog.THROUGHPUT, (), 1 / time_per_second_s
    yield catalog.BACKEND_AUDIO, (), scheduler.done_audio_s
    yield catalog.SLOTS, (), scheduler.slots()
    reachable = sum(replica.problem is None for replica in backend.replicas)
    yield catalog.REPLICAS, ("reachable",), reachable
    yield catalog.REPLICAS, ("unreachable",), len(backend.replicas) - reachable
    for code, count in scheduler.failures.items():
        yield catalog.BACKEND_FAILURES, (code,), count
    for code, count in scheduler.retries.items():
        yield catalog.RETRIES, (code,), count


def _values_of_speakers(speakers: SpeakerService) -> Iterator[tuple[MetricSpec, tuple[str, ...], float]]:
    """Yields the metric, the labels besides `backend`, and the value."""
    reachable = sum(process.last_report is not None for process in speakers.processes)
    yield catalog.REPLICAS, ("reachable",), reachable
    yield catalog.REPLICAS, ("unreachable",), len(speakers.processes) - reachable
    for code, count in speakers.failures.items():
        yield catalog.BACKEND_FAILURES, (code,), count
    for code, count in speakers.retries.items():
        yield catalog.RETRIES, (code,), count

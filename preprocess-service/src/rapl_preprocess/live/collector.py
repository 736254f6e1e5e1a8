"""The metrics of the sessions of live audio."""

from collections.abc import Iterator

from prometheus_client.registry import Collector
from rapl_service.telemetry import catalog
from rapl_service.telemetry.metrics import Family, family

from rapl_preprocess.live.detection import LiveDetection


class LiveCollector(Collector):
    def __init__(self, detection: LiveDetection) -> None:
        self._detection = detection

    def collect(self) -> Iterator[Family]:
        sessions, waiting = family(catalog.LIVE_SESSIONS), family(catalog.LIVE_WAITING)
        sessions.add_metric([], len(self._detection))
        waiting.add_metric([], self._detection.waiting_bytes)
        yield from (sessions, waiting)

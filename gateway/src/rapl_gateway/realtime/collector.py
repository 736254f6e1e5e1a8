"""The metrics of the open sessions, which are read when Prometheus asks for them."""

from collections.abc import Iterator

from prometheus_client.registry import Collector
from rapl_service.telemetry import catalog
from rapl_service.telemetry.metrics import Family, family

from rapl_gateway.realtime.sessions import Sessions


class SessionsCollector(Collector):
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def collect(self) -> Iterator[Family]:
        sessions, waiting = family(catalog.REALTIME_SESSIONS), family(catalog.REALTIME_WAITING)
        sessions.add_metric([], self._sessions.open.total())
        for waits_for, size in self._sessions.waiting_bytes().items():
            waiting.add_metric([waits_for], size)
        yield from (sessions, waiting)

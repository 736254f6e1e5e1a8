"""The engines of the gateway: the replicas of each, and the models that they last reported."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import ModelInfo, ModelState
from rapl_protocol.prepared import MAX_SEGMENT_S
from rapl_service.background import spawn
from rapl_service.calls.call import Http, Service
from rapl_service.calls.remedies import SEND_AGAIN

from rapl_gateway.backends.catalog import BackendSpec, ModelCatalog, Route
from rapl_gateway.backends.clients import engine_client
from rapl_gateway.backends.discovery import addresses_of, host_of
from rapl_gateway.backends.fallback import LoadReservation, Target
from rapl_gateway.backends.replica import EngineClient, Replica
from rapl_gateway.backends.scheduler import Scheduler
from rapl_gateway.settings import Settings
from rapl_gateway.timing import Stopwatch

RESOLVE_INTERVAL_S = 2.0
FIRST_POLL_S = 1.0
"""Seconds that a request for the list of models waits for backends that have not been polled yet."""
_MIN_QUEUE_S = 4 * MAX_SEGMENT_S
"""Lower bound of the limit that follows from an engine's speed, in seconds of audio. The segments of one long recording
must not fill the queue of a slow engine."""
_MAX_RETRY_AFTER_S = 60.0
"""Largest `retry-after`, in seconds. OpenAI's Node SDK ignores longer ones."""

log = logging.getLogger("rapl")


class Backend:
    """One engine: all processes that serve the same models.

    Args:
        name: its name in the catalog.
        spec: how it is reached.
        connect: creates the client of one process.
        settings: the gateway's settings, with the limits of the queue and of waiting.
    """

    def __init__(
        self, name: str, spec: BackendSpec, connect: Callable[[Service], EngineClient], settings: Settings
    ) -> None:
        self.name = name
        self.spec = spec
        self.scheduler = Scheduler(spec.service_name, settings.restart_wait_s, spec.parallel)
        self._connect = connect
        self._settings = settings
        self.was_polled = asyncio.Event()
        """Set when every replica that was known at the start has been polled once."""
        self._watches: dict[str, asyncio.Task[None]] = {}
        """The tasks that poll the replicas, by address."""
        for url in spec.urls:
            self._add(url, url)

    @property
    def replicas(self) -> Sequence[Replica]:
        return self.scheduler.replicas

    @property
    def problem(self) -> ServiceError | None:
        """The error of a replica if no replica can be used; None if one can be used."""
        problems = [replica.problem for replica in self.replicas]
        return problems[0] if all(problems) else None

    @property
    def models(self) -> list[ModelInfo]:
        """The models of all replicas. If a reachable replica reports a model as ready, that report is used."""
        if len(self.replicas) == 1:
            return self.replicas[0].models
        best: dict[str, ModelInfo] = {}
        for replica in sorted(self.replicas, key=lambda each: each.problem is not None):
            for info in replica.models:
                if info.id not in best or (info.state is ModelState.READY and replica.problem is None):
                    best[info.id] = info
        return list(best.values())

    def info(self, engine_model: str) -> ModelInfo | None:
        return next((info for info in self.models if info.id == engine_model), None)

    async def load(self, engine_model: str) -> None:
        """Loads the model in every replica.

        Raises:
            ServiceError: no replica could begin to load it.
        """
        loads = [replica.load(engine_model) for replica in self.replicas]
        failures = [failed for failed in await asyncio.gather(*loads, return_exceptions=True) if failed]
        if len(failures) == len(loads):
            raise failures[0]

    async def unload(self, engine_model: str) -> None:
        """Unloads the model in every replica.

        Raises:
            ServiceError: a replica that can be reached did not unload it, or none can be reached.
        """
        unloads = [replica.unload(engine_model) for replica in self._reachable()]
        for failed in await asyncio.gather(*unloads, return_exceptions=True):
            if failed:
                raise failed

    async def remove(self, engine_model: str) -> None:
        """Removes the model's weights on the disk of every replica, one after the other, because replicas may share a
        disk.

        Raises:
            ServiceError: a replica that can be reached did not remove them, or none can be reached.
        """
        for replica in self._reachable():
            await replica.remove(engine_model)

    def _reachable(self) -> list[Replica]:
        """Raises: ServiceError, BACKEND_UNAVAILABLE, if there is none."""
        if self.problem:
            raise self.problem
        return [replica for replica in self.replicas if replica.problem is None]

    async def watch(self) -> None:
        """Finds the replicas and polls each of them while the gateway runs."""
        try:
            while True:
                for url in self.spec.urls:
                    await self._resolve(url)
                await asyncio.sleep(RESOLVE_INTERVAL_S)
        finally:
            for task in self._watches.values():
                task.cancel()
            await asyncio.gather(*self._watches.values(), return_exceptions=True)

    def require_room(self, client_id: str) -> None:
        """Refuses a request if the queue is full.

        A client that uses less than its fair share of the queue is still accepted, up to twice the limit.

        Raises:
            ServiceError: OVERLOADED. `retry_after_s` is the estimated time until half of the queue is done.
        """
        queued = self.scheduler.queued
        if queued.total_s < min(_MIN_QUEUE_S, self._settings.max_queue_s):
            return  # below every possible limit: the limit need not be computed
        limit_s = self.queue_limit_s()
        if queued.total_s < limit_s:
            return
        if queued.of(client_id) < limit_s / queued.clients(client_id) and queued.total_s < 2 * limit_s:
            return
        wait_s = self.scheduler.time_s(queued.total_s / 2)
        message = f"{self.spec.service_name}: {queued.total_s:.0f} s of audio are queued, and the queue is full."
        retry_after_s = wait_s and min(_MAX_RETRY_AFTER_S, wait_s)
        raise ServiceError(ErrorCode.OVERLOADED, message, retry_after_s=retry_after_s, remedy=SEND_AGAIN)

    def queue_limit_s(self) -> float:
        """Returns the limit of the queue in seconds of audio: what can be transcribed in half of a request's deadline,
        but not more than the setting allows."""
        limit_s = self._settings.max_queue_s * max(1, self.scheduler.slots())
        time_per_second_s = self.scheduler.time_s(1.0)
        if time_per_second_s is None:
            return limit_s
        return min(limit_s, max(_MIN_QUEUE_S, self._settings.deadline_base_s / 2 / time_per_second_s))

    async def _resolve(self, url: str) -> None:
        try:
            found = set(await addresses_of(url))
        except OSError:
            return  # for example, all containers behind the name are stopped: the known ones may start again
        known = {replica.address for replica in self.replicas if replica.client.service.url == url}
        for address in sorted(found - known):
            self._add(url, address)
        for address in known - found:
            self._remove(address)
        for replica in self.replicas:
            if replica.address not in self._watches:
                self._watches[replica.address] = spawn(replica.watch())

    def _on_poll(self) -> None:
        if all(replica.was_polled for replica in self.replicas):
            self.was_polled.set()
        self.scheduler.schedule()

    def _add(self, url: str, address: str) -> None:
        elsewhere = {} if address == url else {"address": address, "host": host_of(url)}
        service = Service(self.spec.service_name, url, self.spec.remedy, token=self.spec.token, **elsewhere)
        self.scheduler.replicas.append(Replica(self._connect(service), self._on_poll))
        log.info("backend=%s address=%s added", self.name, address)

    def _remove(self, address: str) -> None:
        """Removes a replica. It finishes the segments that it has and gets no new ones."""
        self.scheduler.replicas[:] = [replica for replica in self.replicas if replica.address != address]
        if task := self._watches.pop(address, None):
            task.cancel()
        log.info("backend=%s address=%s removed", self.name, address)


class Backends:
    """All backends, by name."""

    def __init__(self, http: Http, catalog: ModelCatalog, settings: Settings) -> None:
        self._catalog = catalog
        self._by_name = {
            name: Backend(name, spec, engine_client(http, spec, catalog.engine_models(name)), settings)
            for name, spec in catalog.backends.items()
        }

    def __getitem__(self, name: str) -> Backend:
        return self._by_name[name]

    def __iter__(self) -> Iterator[Backend]:
        return iter(self._by_name.values())

    @asynccontextmanager
    async def watched(self) -> AsyncGenerator[None]:
        """Polls every backend until the context ends."""
        tasks = [spawn(backend.watch()) for backend in self]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def first_poll(self) -> None:
        """Waits until every backend has been polled once, but not longer than FIRST_POLL_S."""
        waits = [asyncio.create_task(backend.was_polled.wait()) for backend in self if not backend.was_polled.is_set()]
        if waits:
            _, late = await asyncio.wait(waits, timeout=FIRST_POLL_S)
            for task in late:
                task.cancel()

    def discovered(self) -> list[Route]:
        """Returns a route for every model that a backend reported."""
        return [Route(info.id, info.id, backend.name) for backend in self for info in backend.models]

    def require_room(self, client_id: str) -> None:
        """Refuses a request before its model is known, if every reachable backend would refuse it.

        Raises:
            ServiceError: OVERLOADED.
        """
        refusals: list[ServiceError] = []
        for backend in self:
            if backend.was_polled.is_set() and backend.problem is None:
                try:
                    backend.require_room(client_id)
                    return
                except ServiceError as error:
                    refusals.append(error)
        if refusals:
            raise min(refusals, key=lambda error: error.retry_after_s or 0.0)

    def reserve(
        self, route: Route, client_id: str, expected_s: float, stopwatch: Stopwatch | None = None
    ) -> LoadReservation:
        """Reserves room in the queue of the route's backend.

        Args:
            route: the route of the requested model.
            client_id: the client that sent the request.
            expected_s: expected length of the request's first segment, in seconds of audio.
            stopwatch: measures the request's stages.

        Raises:
            ServiceError: OVERLOADED.
        """
        self[route.backend].require_room(client_id)
        return LoadReservation(self.targets(route), client_id, expected_s, stopwatch or Stopwatch())

    def give_word_times(self, route: Route) -> bool:
        """Returns whether the route's model and its fallbacks surely give the times of words. Another server's model
        may give none, also if its API has a field for them."""
        for target in self.targets(route):
            backend = self[target.route.backend]
            info = backend.info(target.route.engine_model)
            can = info and info.capabilities
            if backend.spec.kind != "rapl" or not can or not (can.is_known and can.word_timestamps):
                return False
        return True

    def targets(self, route: Route) -> list[Target]:
        """Returns the route's model, then its fallbacks, with the queues of their backends."""
        routes = self._catalog.with_fallbacks(route, self.discovered() if route.fallback else ())
        return [Target(each, self[each.backend].scheduler) for each in routes]

"""The engines as the gateway knows them: the replicas of each, and what they last said of their models."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import ModelInfo, ModelState
from rapl_protocol.prepared import MAX_SEGMENT_S
from rapl_service.background import spawn
from rapl_service.calls.call import Http, Service

from rapl_gateway.backends.catalog import BackendSpec, ModelCatalog, Route
from rapl_gateway.backends.clients import engine_client
from rapl_gateway.backends.discovery import addresses_of, host_of
from rapl_gateway.backends.fallback import LoadReservation, Target
from rapl_gateway.backends.replica import EngineClient, Replica
from rapl_gateway.backends.scheduler import Scheduler
from rapl_gateway.settings import Settings

RESOLVE_INTERVAL_S = 2.0
FIRST_POLL_S = 1.0
"""How long a list of models waits for engines that have not been asked yet."""
_LEAST_LIMIT_S = 4 * MAX_SEGMENT_S
"""However slow an engine is, a long recording's pieces do not fill its queue."""
_LONGEST_RETRY_AFTER_S = 60.0
"""Node's SDK passes over anything longer."""

log = logging.getLogger("rapl")


class Backend:
    """One engine: all processes that serve the same models.

    Args:
        name: in the catalog.
        spec: how it is reached.
        connect: makes the client of one process.
        settings: how much may wait, and for how long.
    """

    def __init__(
        self, name: str, spec: BackendSpec, connect: Callable[[Service], EngineClient], settings: Settings
    ) -> None:
        self.name = name
        self.spec = spec
        self.dispatcher = Scheduler(spec.service_name, settings.restart_wait_s, spec.parallel)
        self._connect = connect
        self._settings = settings
        self.asked = asyncio.Event()
        """Set when every process that was known at the start has been asked once."""
        self._watching: dict[str, asyncio.Task[None]] = {}
        for url in spec.urls:
            self._add(url, url)

    @property
    def replicas(self) -> Sequence[Replica]:
        return self.dispatcher.replicas

    @property
    def problem(self) -> ServiceError | None:
        """Why none of its processes can be asked for anything, if that is so."""
        problems = [replica.problem for replica in self.replicas]
        return problems[0] if all(problems) else None

    @property
    def models(self) -> list[ModelInfo]:
        """What its processes say, each model as the one that is nearest to being ready has it."""
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
        """Has the model loaded wherever it may be asked for.

        Raises:
            ServiceError: where no process of this engine could begin with it.
        """
        loads = [replica.load(engine_model) for replica in self.replicas]
        failures = [failed for failed in await asyncio.gather(*loads, return_exceptions=True) if failed]
        if len(failures) == len(loads):
            raise failures[0]

    async def watch(self) -> None:
        """Looks for its processes, again and again, and has each one watched."""
        try:
            while True:
                for url in self.spec.urls:
                    await self._resolve(url)
                await asyncio.sleep(RESOLVE_INTERVAL_S)
        finally:
            for task in self._watching.values():
                task.cancel()
            await asyncio.gather(*self._watching.values(), return_exceptions=True)

    def require_room(self, share: str) -> None:
        """Somebody who has less than an equal part of what waits is let in even then, to twice the limit.

        Raises:
            ServiceError: OVERLOADED, with the time in which half of what waits will have been done.
        """
        load = self.dispatcher.load
        if load.total_s < min(_LEAST_LIMIT_S, self._settings.max_queue_s):
            return  # whatever the limit is
        limit_s = self._limit_s()
        if load.total_s < limit_s:
            return
        if load.of(share) < limit_s / load.shares(share) and load.total_s < 2 * limit_s:
            return
        wait_s = self.dispatcher.pace.time_s(load.total_s / 2)
        message = f"{self.spec.service_name} has {load.total_s:.0f} s of audio before it, and takes no more for now."
        raise ServiceError(ErrorCode.OVERLOADED, message, retry_after_s=wait_s and min(_LONGEST_RETRY_AFTER_S, wait_s))

    def _limit_s(self) -> float:
        """Seconds of audio: no more than can be answered in half of the time that a request has."""
        most_s = self._settings.max_queue_s * max(1, self.dispatcher.slots())
        second_takes_s = self.dispatcher.pace.time_s(1.0)
        if second_takes_s is None:
            return most_s
        return min(most_s, max(_LEAST_LIMIT_S, self._settings.deadline_base_s / 2 / second_takes_s))

    async def _resolve(self, url: str) -> None:
        try:
            found = set(await addresses_of(url))
        except OSError:
            return  # as when all containers behind the name are gone: those that were there may come back
        known = {replica.address for replica in self.replicas if replica.client.service.url == url}
        for address in sorted(found - known):
            self._add(url, address)
        for address in known - found:
            self._remove(address)
        for replica in self.replicas:
            if replica.address not in self._watching:
                self._watching[replica.address] = spawn(replica.watch())

    def _news(self) -> None:
        if all(replica.was_asked for replica in self.replicas):
            self.asked.set()
        self.dispatcher.dispatch()

    def _add(self, url: str, address: str) -> None:
        elsewhere = {} if address == url else {"address": address, "host": host_of(url)}
        service = Service(self.spec.service_name, url, self.spec.remedy, token=self.spec.token, **elsewhere)
        self.dispatcher.replicas.append(Replica(self._connect(service), self._news))
        log.info("backend=%s address=%s added", self.name, address)

    def _remove(self, address: str) -> None:
        """What it has before it goes on; it gets nothing new."""
        self.dispatcher.replicas[:] = [replica for replica in self.replicas if replica.address != address]
        if task := self._watching.pop(address, None):
            task.cancel()
        log.info("backend=%s address=%s removed", self.name, address)


class Backends:
    """All engines, by name."""

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
    async def watched(self) -> AsyncIterator[None]:
        """Asks every engine for its models, again and again, as long as the context lasts."""
        tasks = [spawn(backend.watch()) for backend in self]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def first_answers(self) -> None:
        """Waits until every engine was asked once, but not for long."""
        waits = [asyncio.create_task(backend.asked.wait()) for backend in self if not backend.asked.is_set()]
        if waits:
            _, late = await asyncio.wait(waits, timeout=FIRST_POLL_S)
            for task in late:
                task.cancel()

    def discovered(self) -> list[Route]:
        """Every model that an engine said it has."""
        return [Route(info.id, info.id, backend.name) for backend in self for info in backend.models]

    def require_room(self, share: str) -> None:
        """Refuses a request whose model is not known yet, if it would be refused whatever its model is.

        Raises:
            ServiceError: OVERLOADED.
        """
        refusals = []
        for backend in self:
            if backend.asked.is_set() and backend.problem is None:
                try:
                    backend.require_room(share)
                    return
                except ServiceError as error:
                    refusals.append(error)
        if refusals:
            raise min(refusals, key=lambda error: error.retry_after_s or 0.0)

    def seat(self, route: Route, share: str, expected_s: float) -> LoadReservation:
        """A request's place at its backend, and at those of the models that may stand in.

        Raises:
            ServiceError: OVERLOADED.
        """
        routes = self._catalog.with_fallbacks(route, self.discovered() if route.fallback else ())
        places = [Target(each, self[each.backend].dispatcher) for each in routes]
        self[route.backend].require_room(share)
        return LoadReservation(places, share, expected_s)

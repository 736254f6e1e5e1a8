"""The engines as the gateway knows them: a client for each, and what each last said of its models."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from rapl_protocol.client import Service, TranscriberClient
from rapl_protocol.errors import ServiceError
from rapl_protocol.models import ModelInfo

from rapl_gateway.catalog import Route

POLL_INTERVAL_S = 2.0
FIRST_POLL_S = 1.0
"""How long a list of models waits for engines that have not been asked yet."""

log = logging.getLogger("rapl")


@dataclass
class Backend:
    """One engine."""

    name: str
    client: TranscriberClient
    models: list[ModelInfo] = field(default_factory=list)
    """What it last said; kept while it cannot be reached, so that its models do not vanish from the list."""
    problem: ServiceError | None = None
    """Why it could not be asked, the last time."""
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def width(self) -> int:
        """How many segments of one recording it works on at once."""
        return 1

    async def refresh(self) -> None:
        before = self.problem
        try:
            self.models = await self.client.models()
            self.problem = None
        except ServiceError as error:
            self.problem = error
        self.asked.set()
        if (before is None) != (self.problem is None):
            log.info("backend=%s reachable=%s", self.name, self.problem is None)

    async def watch(self) -> None:
        while True:
            await self.refresh()
            await asyncio.sleep(POLL_INTERVAL_S)

    def info(self, engine_model: str) -> ModelInfo | None:
        return next((info for info in self.models if info.id == engine_model), None)


class Backends:
    """All engines, by name."""

    def __init__(self, http: aiohttp.ClientSession, services: Mapping[str, Service]) -> None:
        self._by_name = {name: Backend(name, TranscriberClient(http, service)) for name, service in services.items()}

    def __getitem__(self, name: str) -> Backend:
        return self._by_name[name]

    def __iter__(self) -> Iterator[Backend]:
        return iter(self._by_name.values())

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Asks every engine for its models, again and again, as long as the context lasts."""
        tasks = [asyncio.create_task(backend.watch()) for backend in self]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def first_answers(self) -> None:
        """Waits until every engine was asked once, but not for long."""
        waits = [asyncio.create_task(backend.asked.wait()) for backend in self]
        _, late = await asyncio.wait(waits, timeout=FIRST_POLL_S)
        for task in late:
            task.cancel()

    def discovered(self) -> list[Route]:
        """Every model that an engine said it has."""
        return [Route(info.id, info.id, backend.name) for backend in self for info in backend.models]

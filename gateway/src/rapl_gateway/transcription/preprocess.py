"""preprocess-service as the gateway calls it: through a restart of it, too."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import IO

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.prepared import PreparedEvent, PrepareOptions
from rapl_service.calls.call import ConnectError, Http, Service
from rapl_service.calls.clients import PreprocessClient

from rapl_gateway.transcription.segments import canonical_wav

_POLL_INTERVAL_S = 2.0
_RETRY_INTERVAL_S = 0.2
_NO_OPTIONS = PrepareOptions()


class RetryingPreprocessClient(PreprocessClient):
    """Asks again for what was broken off, and goes on where it broke off: the same media give the same events.

    Args:
        http: the pool of connections.
        service: where it listens.
        restart_wait_s: how long to wait for it, since it was last well.
    """

    def __init__(self, http: Http, service: Service, restart_wait_s: float) -> None:
        super().__init__(http, service)
        self._restart_wait_s = restart_wait_s
        self._well_at = float("-inf")
        self.problem: str | None = None
        """Why it could not be reached, when it was last asked."""

    async def watch(self) -> None:
        """Asks whether it is well, again and again."""
        while True:
            if await self.is_live():
                self._is_well()
            else:
                self.problem = f"{self.service.name} at {self.service.url} cannot be reached. {self.service.remedy}"
            await asyncio.sleep(_POLL_INTERVAL_S)

    async def prepare(
        self,
        media: bytes | memoryview | IO[bytes],
        *,
        options: PrepareOptions = _NO_OPTIONS,
        idle_s: float,
        request_id: str | None = None,
    ) -> AsyncGenerator[PreparedEvent, None]:
        """As PreprocessClient. A canonical WAV does not wait for what it can do without."""
        told, breaks = 0, 0
        while True:
            events = super().prepare(media, options=options, idle_s=idle_s, request_id=request_id)
            seen = 0
            try:
                async with aclosing(events):
                    async for event in events:
                        self._is_well()
                        seen += 1
                        if seen > told:
                            told = seen
                            yield event
                return
            except ServiceError as error:
                breaks += not isinstance(error, ConnectError)
                if error.code is not ErrorCode.BACKEND_UNAVAILABLE or breaks > 1 or not self._may_hope():
                    raise
                if told == 0 and (not isinstance(media, bytes | memoryview) or canonical_wav(media)):
                    raise
            await asyncio.sleep(_RETRY_INTERVAL_S)

    def _is_well(self) -> None:
        self._well_at = time.monotonic()
        self.problem = None

    def _may_hope(self) -> bool:
        return time.monotonic() < self._well_at + self._restart_wait_s

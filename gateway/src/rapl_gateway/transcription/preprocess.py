"""The client of preprocess-service, with retries while the service restarts."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import IO

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.live_audio import LiveOptions
from rapl_protocol.prepared import PreparedEvent, PrepareOptions
from rapl_service.calls.call import Http, Service
from rapl_service.calls.clients import PreprocessClient
from rapl_service.calls.live_audio import LiveAudio

from rapl_gateway.backends.retry import Attempts, RestartWindow
from rapl_gateway.transcription.segments import canonical_wav

_POLL_INTERVAL_S = 2.0
_RETRY_INTERVAL_S = 0.2
_NO_OPTIONS = PrepareOptions()


class RetryingPreprocessClient(PreprocessClient):
    """Repeats an interrupted request and continues after the last event that was received. This is possible because the
    same media always produce the same events.

    Args:
        http: the HTTP clients of the gateway.
        service: the address of preprocess-service.
        restart_wait_s: how long requests wait for the service, in seconds since it last responded.
    """

    def __init__(self, http: Http, service: Service, restart_wait_s: float) -> None:
        super().__init__(http, service)
        self._restart_wait_s = restart_wait_s
        self._restart_window = RestartWindow(restart_wait_s)
        self.problem: str | None = None
        """Why the last poll failed; None if it succeeded."""
        self.version: str | None = None
        """The version of RAPL that the service has, as it last reported."""
        self.retries: Counter[str] = Counter()
        """Requests that were sent again and connections of live audio that were made again, by the error code of the
        failure."""

    async def watch(self) -> None:
        """Polls the service while the gateway runs."""
        while True:
            try:
                self.version = (await self.health()).version
            except ServiceError:
                self.problem = f"{self.service.name} at {self.service.url} cannot be reached."
            else:
                self._mark_ready()
            await asyncio.sleep(_POLL_INTERVAL_S)

    async def prepare(
        self,
        media: bytes | memoryview | IO[bytes],
        *,
        options: PrepareOptions = _NO_OPTIONS,
        idle_s: float,
        request_id: str | None = None,
    ) -> AsyncGenerator[PreparedEvent, None]:
        """Same as `PreprocessClient.prepare`, with retries. A canonical WAV is not retried before its first event: the
        gateway can cut it without the service."""
        yielded, attempts = 0, Attempts()
        while True:
            events = super().prepare(media, options=options, idle_s=idle_s, request_id=request_id)
            seen = 0
            try:
                async with aclosing(events):
                    async for event in events:
                        self._mark_ready()
                        seen += 1
                        if seen > yielded:
                            yielded = seen
                            yield event
                return
            except ServiceError as error:
                if not attempts.may_retry(error) or not self._restart_window.is_open():
                    raise
                if yielded == 0 and (not isinstance(media, bytes | memoryview) or canonical_wav(media)):
                    raise
                self.retries[error.code.value] += 1
            await asyncio.sleep(_RETRY_INTERVAL_S)

    def live(
        self,
        options: LiveOptions,
        *,
        restart_wait_s: float | None = None,
        request_id: str | None = None,
        on_retry: Callable[[], None] | None = None,
    ) -> LiveAudio:
        """Same as `PreprocessClient.live`; by default a session waits as long as a request, and retries are counted."""
        wait_s = self._restart_wait_s if restart_wait_s is None else restart_wait_s
        on_retry = on_retry or self._count_lost_connection
        return super().live(options, restart_wait_s=wait_s, request_id=request_id, on_retry=on_retry)

    def _count_lost_connection(self) -> None:
        self.retries[ErrorCode.BACKEND_UNAVAILABLE.value] += 1

    def _mark_ready(self) -> None:
        self._restart_window.mark_ready()
        self.problem = None

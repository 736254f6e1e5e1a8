"""A diarization that runs while its recording is decoded and transcribed."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.prepared import PreparedEvent, SpeechSegment
from rapl_protocol.speakers import (
    DiarizationEvent,
    DiarizationOptions,
    RecordedSpeech,
    SpeakerReference,
    SpeakerTurn,
)
from rapl_service.calls.call import unavailable
from rapl_service.calls.remedies import RAISE_DEADLINE

from rapl_gateway.backends.retry import Attempts
from rapl_gateway.speakers.prepared_speech import Events, speech_of, with_known_speech
from rapl_gateway.speakers.process import SpeakerProcess

_MOST_WAITING = 8
"""Most parts of the recording that wait for the service, each of up to 1 MB."""


class RunningDiarization:
    """One request to speaker-service. It begins when the object is created.

    Args:
        client: the process that gets it.
        options: the first frame of the request.
        references: a recording of each known speaker.
        idle_s: how long the service may take for a part of the recording, and for the turns at the end, in seconds.
        request_id: for the log of speaker-service.
    """

    def __init__(
        self,
        client: SpeakerProcess,
        options: DiarizationOptions,
        references: Sequence[SpeakerReference],
        *,
        idle_s: float,
        request_id: str,
    ) -> None:
        self._client = client
        client.running += 1
        self._idle_s = idle_s
        self._first: tuple[DiarizationEvent, ...] = (options, *references)
        self._parts: asyncio.Queue[RecordedSpeech | None] = asyncio.Queue(_MOST_WAITING)
        self._is_accepted = asyncio.Event()
        self._lost: ServiceError | None = None
        self._task = asyncio.create_task(client.diarize(self._events(), idle_s=idle_s, request_id=request_id))

    async def accepted(self) -> None:
        """Waits until the service has accepted the connection. Raises: ServiceError."""
        await self._unless_ended(asyncio.create_task(self._is_accepted.wait()))

    async def fed_by(self, events: Events) -> AsyncGenerator[PreparedEvent, None]:
        """Yields the events, and sends their speech to the service. If the service is lost, the events go on, and
        `turns` raises the error: the speech can be sent again.

        Raises:
            ServiceError: the service refused the request, or it reads too slowly.
        """
        async with aclosing(with_known_speech(events)) as known:
            async for event in known:
                if isinstance(event, SpeechSegment):
                    await self._send_all(speech_of(event))
                yield event
        await self._send_all([None])

    async def turns(self) -> tuple[SpeakerTurn, ...]:
        """Returns the turns of the whole recording, when all of its events have been read. Raises: ServiceError."""
        if self._lost:
            raise self._lost
        return (await self._task).turns

    async def close(self) -> None:
        """Cancels the request, if it has not ended. It is called once."""
        self._client.running -= 1
        self._task.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.exception()  # so that asyncio does not report it: `fed_by` or `turns` has raised it
        del self._task, self._lost  # their exceptions have tracebacks with this object: that would be a cycle

    async def _events(self) -> AsyncGenerator[DiarizationEvent, None]:
        self._is_accepted.set()
        for event in self._first:
            yield event
        while (part := await self._parts.get()) is not None:
            yield part

    async def _send_all(self, parts: Iterable[RecordedSpeech | None]) -> None:
        try:
            for part in parts if self._lost is None else ():
                await self._unless_ended(asyncio.create_task(self._parts.put(part)))
        except ServiceError as error:
            if not may_be_sent_again(error):
                raise
            self._lost = error

    async def _unless_ended(self, step: asyncio.Task[Any]) -> None:
        """Waits for a step of the request. Raises: ServiceError, if the service fails or stops reading."""
        try:
            await asyncio.wait({step, self._task}, timeout=self._idle_s, return_when=asyncio.FIRST_COMPLETED)
            if self._task.done():
                self._task.result()
                raise unavailable(self._client.service, "answered before the recording had ended")
            if not step.done():
                service = self._client.service
                message = f"{service.name} at {service.url} has read nothing for {self._idle_s:g} s."
                raise ServiceError(ErrorCode.BACKEND_TIMEOUT, message, remedy=RAISE_DEADLINE)
        finally:
            step.cancel()


Start = Callable[[], AbstractAsyncContextManager[RunningDiarization]]
"""Starts a diarization of the same recording."""


async def all_turns(start: Start, prepare: Callable[[], Events]) -> tuple[SpeakerTurn, ...]:
    """Returns the turns of a whole recording. `prepare` begins its events. Raises: ServiceError."""
    async with start() as diarization, aclosing(diarization.fed_by(prepare())) as events:
        async for _ in events:
            pass
        return await diarization.turns()


async def turns_of_either(
    first: Awaitable[tuple[SpeakerTurn, ...]], again: Callable[[], Awaitable[tuple[SpeakerTurn, ...]]]
) -> tuple[SpeakerTurn, ...]:
    """Returns the turns, from a second diarization if the service was lost in the first one. Raises: ServiceError."""
    try:
        return await first
    except ServiceError as error:
        if not may_be_sent_again(error):
            raise
    return await again()


def may_be_sent_again(error: ServiceError) -> bool:
    """Whether a recording is sent once more after this failure."""
    return Attempts().may_retry(error)

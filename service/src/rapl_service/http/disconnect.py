"""Ends the work for a client that has left."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request
from rapl_protocol.errors import ErrorCode, ServiceError

CLIENT_CONNECTION = "rapl_client_connection"
"""Where a request's scope has the `ClientConnection` that sent it."""

T = TypeVar("T")


class ClientConnection:
    """Who sends requests over a connection, and is there until it ends. ASGI's own word of that, `http.disconnect`,
    takes a task that waits for it."""

    def __init__(self) -> None:
        self.has_left = False
        self.tasks: set[asyncio.Task[Any]] = set()
        """What is of no use without it."""

    def disconnect(self) -> None:
        self.has_left = True
        for task in self.tasks:
            task.cancel()


async def cancel_on_disconnect(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Awaits the work for a request whose body has been read; when the client goes away it is cancelled.

    A client that gave up sends its request again, and should not find its first one still in the way.

    Raises:
        ServiceError: INVALID_REQUEST, which nobody sees but the log.
    """
    client: ClientConnection = request.scope.get(CLIENT_CONNECTION) or ClientConnection()  # only GuardedHttp tells
    if client.has_left:
        work.close()
        raise ServiceError(ErrorCode.INVALID_REQUEST, "the client went away")
    here = asyncio.current_task()
    assert here
    client.tasks.add(here)
    try:
        return await work
    except asyncio.CancelledError:
        if not client.has_left:
            raise
        here.uncancel()
        raise ServiceError(ErrorCode.INVALID_REQUEST, "the client went away") from None
    finally:
        client.tasks.discard(here)

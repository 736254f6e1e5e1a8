"""Cancels the work for a client that has disconnected."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request
from rapl_protocol.errors import ErrorCode, ServiceError

CLIENT_CONNECTION = "rapl_client_connection"
"""Key of a request's `ClientConnection` in its scope."""

_RETRY_AFTER_S = 5

T = TypeVar("T")


class ClientConnection:
    """The state of a client's connection, and the tasks to cancel when the client disconnects.

    ASGI's own message, `http.disconnect`, requires a task that waits for it, which costs 4 % of a request's CPU time.
    """

    def __init__(self) -> None:
        self.is_gone = False
        self.tasks: set[asyncio.Task[Any]] = set()
        """Tasks whose result only this client needs."""

    def disconnect(self) -> None:
        self.is_gone = True
        for task in self.tasks:
            task.cancel()


async def cancel_on_disconnect(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Awaits the work for a request whose body has been read, and cancels it when the client disconnects.

    A client that disconnects usually sends its request again. The second request should not wait for the first one.

    Raises:
        ServiceError: INVALID_REQUEST if the client has disconnected. Only the log shows this error. BACKEND_UNAVAILABLE
            if the server stops before the work is done.
    """
    client: ClientConnection = request.scope.get(CLIENT_CONNECTION) or ClientConnection()  # only GuardedHttp sets it
    if client.is_gone:
        work.close()
        raise ServiceError(ErrorCode.INVALID_REQUEST, "the client disconnected")
    here = asyncio.current_task()
    assert here
    client.tasks.add(here)
    try:
        return await work
    except asyncio.CancelledError:
        here.uncancel()
        if not client.is_gone:  # only a server that stops cancels it, if it takes longer than the server waits
            message = "the server is shutting down; send the request again."
            raise ServiceError(ErrorCode.BACKEND_UNAVAILABLE, message, retry_after_s=_RETRY_AFTER_S) from None
        raise ServiceError(ErrorCode.INVALID_REQUEST, "the client disconnected") from None
    finally:
        client.tasks.discard(here)

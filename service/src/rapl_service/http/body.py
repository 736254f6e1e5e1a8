"""Reads the rest of refused request bodies, and ends requests whose bodies arrive too slowly."""

import asyncio
import time

from rapl_protocol.errors import ErrorCode, ServiceError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_DRAIN_BYTES = 256 << 20
"""Most bytes of a refused body that are read. If a client sends more, its connection is closed."""
BODY_GRACE_S = 30.0
LEAST_BYTES_PER_S = 500
"""A body may take BODY_GRACE_S plus its size divided by this rate, a quarter of the slowest speech codecs' rate."""


async def drain(receive: Receive, max_bytes: int = MAX_DRAIN_BYTES) -> None:
    """Reads the rest of a body and discards it, so that a client that is still sending gets the response.

    Otherwise Node's fetch reports a broken pipe and sends the request again.
    """
    drained = 0
    while drained < max_bytes:
        message = await receive()
        drained += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return


class BodyTimeout:
    """ASGI middleware: ends a request whose body arrives too slowly, so that slow clients cannot hold resources."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, _in_time(receive) if scope["type"] == "http" else receive, send)


def _in_time(receive: Receive) -> Receive:
    waited_s, received, is_whole = 0.0, 0, False

    async def receive_in_time() -> Message:
        """Raises: ServiceError, INVALID_REQUEST."""
        nonlocal waited_s, received, is_whole
        if is_whole:
            return await receive()
        began = time.monotonic()
        try:
            async with asyncio.timeout(BODY_GRACE_S + received / LEAST_BYTES_PER_S - waited_s):
                message = await receive()
        except TimeoutError:
            raise ServiceError(ErrorCode.INVALID_REQUEST, "the request's body arrived too slowly") from None
        waited_s += time.monotonic() - began
        received += len(message.get("body", b""))
        is_whole = not message.get("more_body")
        return message

    return receive_in_time

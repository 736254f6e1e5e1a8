"""Reading a request's body: no faster client may be kept waiting by one that sends slowly."""

import asyncio
import time

from rapl_protocol.errors import ErrorCode, ServiceError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_DRAIN_BYTES = 256 << 20
"""Of a refused body; whoever sends more sees the connection close."""
BODY_GRACE_S = 30.0
LEAST_BYTES_PER_S = 500
"""A body that comes as fast as this, apart from the grace, is waited for: a quarter of the slowest speech codecs."""


async def drain(receive: Receive, max_bytes: int = MAX_DRAIN_BYTES) -> None:
    """Reads the rest of a body and throws it away, so that a client that is still sending sees its answer.

    Node's fetch reports a broken pipe instead of the answer, and sends everything again.
    """
    drained = 0
    while drained < max_bytes:
        message = await receive()
        drained += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return


class BodyTimeout:
    """ASGI middleware: gives up on a body that comes too slowly, as one that is held back to hold us up."""

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
            raise ServiceError(ErrorCode.INVALID_REQUEST, "the request's body came too slowly") from None
        waited_s += time.monotonic() - began
        received += len(message.get("body", b""))
        is_whole = not message.get("more_body")
        return message

    return receive_in_time

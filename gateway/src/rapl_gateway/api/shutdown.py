"""The response to requests that are still in progress when the shutdown grace period ends."""

import asyncio
import json

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.http.errors import send_error
from starlette.types import ASGIApp, Message, Receive, Scope, Send

RETRY_AFTER_S = 5
_ERROR = ServiceError(
    ErrorCode.BACKEND_UNAVAILABLE, "the server is shutting down; send the request again.", retry_after_s=RETRY_AFTER_S
)


class ShutdownResponder:
    """ASGI middleware: sends an error to each request that is cancelled. This happens only when the server stops."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: Message | None = None

        async def send_noted(message: Message) -> None:
            nonlocal start
            if start is None:
                start = message
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        except asyncio.CancelledError:
            if start is None:
                await send_error(scope, receive, send, _ERROR)
            elif _is_event_stream(start):
                event = f"event: error\ndata: {json.dumps(_ERROR.envelope())}\n\n"
                await send({"type": "http.response.body", "body": event.encode()})
            raise


def _is_event_stream(start: Message) -> bool:
    return any(name == b"content-type" and b"event-stream" in value for name, value in start.get("headers", ()))

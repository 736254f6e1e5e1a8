"""The last word to those who are still waiting when the time to finish what was begun is over."""

import asyncio
import json

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.http.errors import error_response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

RETRY_AFTER_S = 5
_ERROR = ServiceError(
    ErrorCode.BACKEND_UNAVAILABLE, "the server was told to stop; send it again.", retry_after_s=RETRY_AFTER_S
)


class ShutdownResponder:
    """ASGI middleware: a request that is cancelled, as only the end of the server does it, still gets an answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun: Message | None = None

        async def send_noted(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = message
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        except asyncio.CancelledError:
            if begun is None:
                scope["rapl_log"]["error"] = _ERROR.code.value
                await error_response(_ERROR)(scope, receive, send)
            elif _is_event_stream(begun):
                event = f"event: error\ndata: {json.dumps(_ERROR.envelope())}\n\n"
                await send({"type": "http.response.body", "body": event.encode()})
            raise


def _is_event_stream(begun: Message) -> bool:
    return any(name == b"content-type" and b"event-stream" in value for name, value in begun["headers"])

"""Values that the middleware stores in a request's scope for the routes."""

from typing import Any

from starlette.requests import HTTPConnection

RESPONSE_START = frozenset({"http.response.start", "websocket.http.response.start"})
"""The message types that begin an HTTP response; the second one refuses a WebSocket handshake."""

ROUTE = "path"
"""Key in the log fields: the path of the request's route, such as `/v1/models/{model_id}`."""


def log_fields(request: HTTPConnection) -> dict[str, Any]:
    """Fields of the request's log line. A route may add fields: numbers as numbers, with the unit in the name. Never
    add a transcript, a prompt or a file name."""
    return request.scope["rapl_log"]


def request_id(request: HTTPConnection) -> str:
    return request.scope["rapl_request_id"]

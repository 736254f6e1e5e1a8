"""What the middleware keeps in a request's scope for the routes."""

from typing import Any

from starlette.requests import HTTPConnection


def log_fields(request: HTTPConnection) -> dict[str, Any]:
    """What a route adds to the line that is logged for this request; never a transcript, a prompt or a file name."""
    return request.scope["rapl_log"]


def request_id(request: HTTPConnection) -> str:
    return request.scope["rapl_request_id"]

"""Maps the paths that clients build from different base URLs to the gateway's routes.

Clients append `/audio/transcriptions` or `/v1/audio/transcriptions` to the configured base URL, which may be the host,
the host with `/v1` or the whole address. There is no redirect: some clients lose the body when they follow one.
"""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

_AUDIO = ("/audio/transcriptions", "/audio/translations")
_MODELS = "/models"
_REALTIME = re.compile(r".*?(/realtime(?:/[\w/-]*)?)", re.ASCII)
_LIVE = re.compile(r"(?:/v1)*/live")


def canonical_path(path: str) -> str:
    """Returns the path of the matching route, such as `/v1/models/iic/SenseVoiceSmall`; other paths are unchanged."""
    trimmed = path.rstrip("/")
    for endpoint in _AUDIO:
        if trimmed.endswith(endpoint):
            return f"/v1{endpoint}"
    _, found, model = trimmed.partition(_MODELS)
    if found and not model:
        return f"/v1{_MODELS}"
    if found and model.startswith("/"):
        return f"/v1{_MODELS}/{model.lstrip('/')}"
    if realtime := _REALTIME.fullmatch(trimmed):
        return f"/v1{realtime[1]}"
    return "/v1/live" if _LIVE.fullmatch(trimmed) else path


class CanonicalPath:
    """ASGI middleware: replaces each request's path with the canonical path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "path": canonical_path(scope["path"])}, receive, send)

"""Cross-origin requests: which pages and programs may use the server, and the headers that let them read its answers.

Source: https://fetch.spec.whatwg.org/#http-cors-protocol.
"""

import re
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_EXPOSED_HEADERS = (
    "x-request-id",
    "retry-after",
    "x-should-retry",
    "openai-processing-ms",
    "server-timing",
    "x-rapl-coverage",
    "x-rapl-problems",
    "x-rapl-damaged-s",
    "x-rapl-audio-track",
    "x-rapl-other-audio-tracks",
    "x-rapl-fallback",
    "*",  # the others; it counts because the policy allows no credentials, but old browsers do not know it
)
_APP_ORIGIN = re.compile(r"(?!https?:)[a-z][a-z0-9+.-]*://[^\s/]*|https?://(tauri|wails)\.localhost")
"""Origins of installed programs and browser extensions, such as `app://obsidian.md` and `tauri://localhost`.

A browser writes the header itself, so a web page cannot choose it: its origin has the scheme `http` or `https`, or is
`null` in a sandboxed frame. On Windows and Android, Tauri and Wails use a host name of their own, which browsers
resolve to this machine only."""


class AllowedOrigins:
    """Decides whether pages of an origin may use the server.

    Args:
        listed: origins of web pages, as browsers send them; `*` allows every origin.
    """

    def __init__(self, listed: Iterable[str]) -> None:
        self.listed = frozenset(listed)

    def allow(self, origin: str) -> bool:
        return origin in self.listed or "*" in self.listed or _APP_ORIGIN.fullmatch(origin) is not None


class CrossOrigin(CORSMiddleware):
    """ASGI middleware: answers preflight requests, and lets allowed origins read every response. Requests of other
    origins, and requests without one, are passed on unchanged."""

    def __init__(self, app: ASGIApp, origins: AllowedOrigins) -> None:
        super().__init__(
            app,
            allow_origins=sorted(origins.listed),
            allow_methods=["GET", "HEAD", "POST", "OPTIONS"],
            allow_headers=["*"],  # the response names the requested ones: a literal `*` would not cover Authorization
            allow_private_network=True,
            expose_headers=_EXPOSED_HEADERS,
            max_age=600,
        )
        self._origins = origins

    def is_allowed_origin(self, origin: str) -> bool:
        return self._origins.allow(origin)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = Headers(scope=scope).get("origin") if scope["type"] == "http" else None
        if origin and self.is_allowed_origin(origin):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)

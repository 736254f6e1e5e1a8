"""GET / and the files of the page at /page/...

The files are in memory, so no path of a request is ever looked up on the disk. They need no key, because the page is
where a user types the key; what the page reads from the API does.
"""

import re
from collections.abc import Mapping

from fastapi import APIRouter, Request, Response

from rapl_gateway.page.files import PageFile

_STYLE_OF_WAVESURFER = "'sha256-7Wn/5ghbhb9U5yM332FZpa4jDUilNGJdZ87eJ6XZFBA='"
"""The one style sheet that a script adds: wavesurfer.js writes it into its shadow root. Its text depends on nothing but
the height of the waveform (`WAVEFORM_HEIGHT` in `static/try/waveform.js`)."""
_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": f"'self' {_STYLE_OF_WAVESURFER}",
    "connect-src": "'self' ws://{host} wss://{host}",  # older browsers do not count WebSockets as 'self'
    "img-src": "'self' blob:",
    "media-src": "'self' blob:",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",  # a browser keeps each file and asks whether it has changed: so an update is seen
}


def page_router(files: Mapping[str, PageFile]) -> APIRouter:
    """Returns the routes of the page: one for each of its files."""
    router = APIRouter(include_in_schema=False)

    async def send(request: Request) -> Response:
        file = files[request.url.path]
        headers = {**_HEADERS, "content-security-policy": _policy(request), "etag": file.etag}
        if file.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)

    for path in files:
        router.add_api_route(path, send, methods=["GET"])
    return router


def _policy(request: Request) -> str:
    # The check of the host has allowed it. Only what a host may consist of is repeated, so that it adds no directive.
    host = re.sub(r"[^\w.:\[\]-]", "", request.headers.get("host", ""), flags=re.ASCII)
    return "; ".join(f"{name} {sources.format(host=host)}" for name, sources in _POLICY.items())

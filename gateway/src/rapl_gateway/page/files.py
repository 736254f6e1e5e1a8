"""The page's files, as they are served: each with its type, its digest and its path."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

STATIC = Path(__file__).parent / "static"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""The types of the page's files. A browser runs a module only if its type is JavaScript's."""


@dataclass(frozen=True, slots=True)
class PageFile:
    content: bytes
    media_type: str
    etag: str
    """In double quotes, as the header has it."""


def page_files(folder: Path = STATIC) -> dict[str, PageFile]:
    """Reads every file of the page, and returns them by the path of their URL. `index.html` is at `/`.

    Raises:
        KeyError: a file has another type than those in TYPES.
    """
    found: dict[str, PageFile] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        content = path.read_bytes()
        etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        found["/" if name == "index.html" else f"/page/{name}"] = PageFile(content, TYPES[path.suffix], etag)
    return found

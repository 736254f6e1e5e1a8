"""A model hub on this machine, for tests: the real Hugging Face and ModelScope clients download from it.

    with LocalHub() as hub:
        hub.add("mlx-community/Qwen3-ASR-1.7B-8bit", folder)
        subprocess.run(command, env=os.environ | hub.environ)

By hand: `python tests/local_hub.py --repo ID=FOLDER`, then export the variables that it prints.
"""

import argparse
import json
import re
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from hub_protocols import Answer, HubFile, NotFound, Snapshot, answer, read_snapshot

BRANCHES = frozenset({"main", "master"})
"""The newest revision answers to these: the default branch of Hugging Face, and that of ModelScope."""

BLOCK_BYTES = 64 * 1024
THROTTLED_BLOCKS_PER_S = 20
RANGE = re.compile(r"bytes=(?P<first>\d+)-(?P<last>\d*)")


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    """With the query."""
    range: str | None
    """The `Range` header."""
    status: int


class LocalHub:
    """Serves what was added to it, from `__enter__` to `__exit__`, on `host`:`port` (0: any free port)."""

    # Failure switches; each can be set and reset at any time. `offline`, below, is one more.
    bytes_per_s: int | None = None
    """Serve each file no faster than this."""
    cut_after_bytes: int | None = None
    """Close the connection after this many bytes of the next file body that is longer; happens once."""
    truncate: str | None = None
    """Serve only the first half of this file, with matching headers. The listing still has its real size."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.requests: list[Request] = []
        self._address = (host, port)
        self._snapshots: dict[str, list[Snapshot]] = {}
        self._server: HubServer | None = None
        self._lock = threading.Lock()

    def add(self, repo_id: str, folder: Path | str, revision: str = "main") -> str:
        """Publish `folder` under a branch, tag or commit hash; the last one added is also `main` and `master`.

        Returns the commit hash.
        """
        snapshot = read_snapshot(repo_id, Path(folder), revision)
        self._snapshots.setdefault(repo_id, []).insert(0, snapshot)
        return snapshot.commit

    @property
    def url(self) -> str:
        host, port = self._address
        return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"

    @property
    def environ(self) -> dict[str, str]:
        """Environment variables that point both clients here."""
        return {"HF_ENDPOINT": self.url, "MODELSCOPE_ENDPOINT": self.url}

    @property
    def offline(self) -> bool:
        """Failure switch: connections are refused. Online again, the hub listens on the same port."""
        return self._server is None

    @offline.setter
    def offline(self, offline: bool) -> None:
        if offline:
            self._stop()
        elif self._server is None:
            self._start()

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()

    def _start(self) -> None:
        server = HubServer(self._address, HubRequestHandler)
        server.hub = self
        self._address = (self._address[0], server.server_address[1])
        threading.Thread(target=server.serve_forever, args=(0.05,), name="local-hub", daemon=True).start()
        self._server = server

    def _stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def find(self, repo_id: str, revision: str) -> Snapshot:
        """Raises: NotFound."""
        if repo_id not in self._snapshots:
            raise NotFound("Repo")
        for index, snapshot in enumerate(self._snapshots[repo_id]):
            if revision in (snapshot.revision, snapshot.commit) or (index == 0 and revision in BRANCHES):
                return snapshot
        raise NotFound("Revision")

    def body(self, file: HubFile) -> bytes:
        """The bytes that are served as `file`: its content, truncated if `truncate` names it."""
        return file.content[: len(file.content) // 2] if file.path == self.truncate else file.content

    def take_cut(self, length: int) -> int | None:
        """Return the number of bytes after which a body of `length` bytes is to be cut off, if it is."""
        with self._lock:
            if self.cut_after_bytes is None or length <= self.cut_after_bytes:
                return None
            cut, self.cut_after_bytes = self.cut_after_bytes, None
            return cut


class HubServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    hub: LocalHub

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that disconnects in the middle of a file is part of a test, not an error."""


class HubRequestHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> LocalHub:
        return cast(HubServer, self.server).hub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if self.hub.offline:  # this connection was kept alive from before
            self.close_connection = True
            return
        reply = answer(self.path, self.hub.find)
        if reply.file is None:
            self._send_json(reply)
        else:
            self._send_file(self.hub.body(reply.file), reply.headers)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        self.hub.requests.append(Request(self.command, self.path, self.headers.get("Range"), int(code)))

    def _send_headers(self, status: HTTPStatus, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send_json(self, reply: Answer) -> None:
        body = json.dumps(reply.content).encode()
        self._send_headers(reply.status, len(body), {"Content-Type": "application/json", **reply.headers})
        if self.command == "GET":
            self.wfile.write(body)

    def _send_file(self, body: bytes, headers: dict[str, str]) -> None:
        """Send `body`, or the requested range of it."""
        headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes", **headers}
        status, first, last = HTTPStatus.OK, 0, len(body) - 1
        if requested := RANGE.fullmatch(self.headers.get("Range", "")):
            first, last = int(requested["first"]), min(int(requested["last"] or last), last)
            if first > last:
                headers["Content-Range"] = f"bytes */{len(body)}"
                self._send_headers(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, 0, headers)
                return
            status, headers["Content-Range"] = HTTPStatus.PARTIAL_CONTENT, f"bytes {first}-{last}/{len(body)}"
        self._send_headers(status, last + 1 - first, headers)
        if self.command == "GET":
            self._stream(memoryview(body)[first : last + 1])

    def _stream(self, body: memoryview) -> None:
        cut = self.hub.take_cut(len(body))
        if cut is not None:
            body = body[:cut]
            self.close_connection = True
        while body:
            rate = self.hub.bytes_per_s
            block_bytes = BLOCK_BYTES if rate is None else max(1, rate // THROTTLED_BLOCKS_PER_S)
            self.wfile.write(body[:block_bytes])
            body = body[block_bytes:]
            if rate is not None:
                time.sleep(block_bytes / rate)


def parse_repository(value: str) -> tuple[str, Path]:
    """Parse `ID=FOLDER`."""
    repo_id, separator, folder = value.partition("=")
    if not separator or repo_id.count("/") != 1 or not Path(folder).is_dir():
        raise argparse.ArgumentTypeError(f"{value!r} is not OWNER/NAME=FOLDER with a folder that exists")
    return repo_id, Path(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve model folders to the Hugging Face and ModelScope clients.")
    parser.add_argument("--repo", action="append", required=True, type=parse_repository, metavar="ID=FOLDER")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--revision", default="main", help="a branch, tag or commit hash")
    parser.add_argument("--bytes-per-s", type=int, help="serve each file no faster than this")
    arguments = parser.parse_args()
    with LocalHub(arguments.host, arguments.port) as hub:
        hub.bytes_per_s = arguments.bytes_per_s
        for repo_id, folder in arguments.repo:
            hub.add(repo_id, folder, arguments.revision)
        print("\n".join(f"export {name}={value}" for name, value in hub.environ.items()), flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("stopped")


if __name__ == "__main__":
    main()

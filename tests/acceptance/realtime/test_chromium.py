"""A real Chromium's own WebSocket on /v1/realtime, from a web page."""

import functools
import http.server
import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from client_programs import CLIENTS
from services import SELFTEST, free_port
from spoken_turns import KEY

LIMIT_S = 90

pytestmark = pytest.mark.skipif(
    shutil.which("chromium") is None, reason="there is no Chromium; on Debian: apt-get install chromium"
)


class _Site(http.server.SimpleHTTPRequestHandler):
    """The files of a folder; what is posted is put into `answers`."""

    def __init__(self, answers: queue.Queue, *arguments: Any, **options: Any) -> None:
        self._answers = answers
        super().__init__(*arguments, **options)

    def do_POST(self) -> None:
        self._answers.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def chromium(profile: Path, url: str) -> Iterator[None]:
    """Chromium on the page. It runs until the context ends."""
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    browser = subprocess.Popen(["chromium", *options, url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        browser.terminate()
        browser.wait(30)


def shown_by(page_port: int, turns: list[Path], profile: Path, **query: object) -> dict[str, Any]:
    """What the page at this port of 127.0.0.1 posts."""
    answers: queue.Queue = queue.Queue()
    handler = functools.partial(_Site, answers, directory=str(turns[0].parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", page_port), handler) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{page_port}/page.html?{urlencode({'key': KEY, 'files': len(turns), **query})}"
        with chromium(profile, url):
            answer = answers.get(timeout=LIMIT_S)
        site.shutdown()
    return answer


@pytest.fixture(scope="module")
def pages(turns_24_khz: list[Path]) -> list[Path]:
    """The turns, with the page beside them."""
    shutil.copy(CLIENTS / "realtime" / "page.html", turns_24_khz[0].parent)
    return turns_24_khz


@pytest.mark.parametrize("mode", ["client", "server"])
def test_a_page_gets_each_turn_once(secured, pages, tmp_path, model, mode, transcripts):
    url = f"{secured.http.replace('http', 'ws')}/v1/realtime?intent=transcription"

    shown = shown_by(secured.page_port, pages, tmp_path, url=url, model=model, mode=mode)

    assert shown.get("protocol") == "realtime", shown
    assert sorted(turn["transcript"] for turn in shown["turns"]) == sorted([*transcripts, ""])
    assert [turn["deltas"] for turn in shown["turns"]] == [turn["transcript"] for turn in shown["turns"]]


def test_a_page_of_another_origin_gets_no_session(secured, pages, tmp_path):
    url = f"{secured.http.replace('http', 'ws')}/v1/realtime?intent=transcription"

    shown = shown_by(free_port(), pages, tmp_path, url=url, model=SELFTEST, mode="client")

    assert shown == {"error": "the connection failed"}

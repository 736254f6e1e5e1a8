"""A page in a real Chromium: of an extension, which has an origin of its own, and of a web site."""

import functools
import hashlib
import html
import http.server
import json
import re
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from services import SAMPLE

EXTENSION = Path(__file__).parent / "clients" / "extension"

pytestmark = pytest.mark.skipif(
    shutil.which("chromium") is None, reason="there is no Chromium; on Debian: apt-get install chromium"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The extension, with the sample as its recording."""
    shutil.copytree(EXTENSION, tmp_path / "extension")
    shutil.copy(SAMPLE, tmp_path / "extension" / "speech.wav")
    return tmp_path / "extension"


def shown_by(page: str, folder: Path, gateway: str, model: str) -> dict[str, Any]:
    """What the page shows after it has sent its recording."""
    command = [
        "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder.parent / 'profile'}",
        f"--load-extension={folder}", "--virtual-time-budget=60000", "--dump-dom",
        f"{page}?gateway={gateway}&model={model}",
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = re.search(r'<pre id="answer">(.+?)</pre>', ended.stdout)
    assert found, ended.stdout + ended.stderr
    return json.loads(html.unescape(found[1]))


def test_an_extension_reads_the_text_and_the_headers_without_a_setting(fleet, folder, model, words):
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:32]
    extension_id = "".join(chr(ord("a") + int(digit, 16)) for digit in digest)  # as Chromium makes it from the path

    shown = shown_by(f"chrome-extension://{extension_id}/page.html", folder, fleet.gateway.url, model)

    assert (shown["status"], shown["body"]["text"]) == (200, words), shown
    assert {"x-request-id", "x-rapl-coverage", "server-timing"} <= shown["headers"].keys()


def test_a_web_page_reads_nothing(fleet, folder, model):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        shown = shown_by(f"http://127.0.0.1:{site.server_port}/page.html", folder, fleet.gateway.url, model)
        site.shutdown()

    assert shown == {"error": "TypeError"}

"""The real preprocess-service in its own process, and what must hold after every attack."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from media import as_media
from processes import IS_LINUX, family
from rapl_protocol.audio import WavAudio
from services import ServiceProcess, until

HANG_S = 60.0
"""A complete response takes less than this, also on a busy machine."""
SAMPLE = Path(__file__).parents[3] / "samples" / "three-one-four.wav"


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    folder = tmp_path_factory.mktemp("preprocess")
    (folder / "tmp").mkdir()
    environ = {"TMPDIR": str(folder / "tmp"), "RAPL_PREPROCESS_LOG_LEVEL": "WARNING"}
    with ServiceProcess(
        sys.executable, "rapl_preprocess", "RAPL_PREPROCESS_PORT", folder / "log", **environ
    ) as running:
        yield running


@pytest.fixture(scope="session")
def spoken() -> bytes:
    """A file with speech that has to be decoded."""
    return as_media(bytes(WavAudio.from_wav(SAMPLE.read_bytes()).pcm), "m4a")


@pytest.fixture
def send(service: ServiceProcess, spoken: bytes) -> Iterator[Callable[[bytes], httpx.Response]]:
    """Sends a file. Afterwards the service must still work, and keep no part of the file."""

    def post(media: bytes) -> httpx.Response:
        deadline = time.monotonic() + HANG_S
        with httpx.stream("POST", f"{service.url}/v1/prepare", content=media, timeout=HANG_S) as answer:
            pieces = []
            for piece in answer.iter_bytes():
                pieces.append(piece)
                assert time.monotonic() < deadline, "the response does not end"
            return httpx.Response(answer.status_code, content=b"".join(pieces))

    yield post
    answer = post(spoken)
    assert answer.status_code == 200
    assert b'"type": "segment"' in answer.content
    assert not list(Path(service.environ["TMPDIR"]).iterdir())
    if IS_LINUX:
        until("no file of an upload is open", lambda: not _open_uploads(service.pid, service.environ["TMPDIR"]), 5)


def _open_uploads(pid: int, folder: str) -> list[str]:
    found = []
    for member in family(pid):
        try:
            links = [os.readlink(link) for link in Path(f"/proc/{member}/fd").iterdir()]
        except FileNotFoundError:  # the process has ended
            continue
        found += [link for link in links if link.startswith(folder)]
    return found


@pytest.fixture
def refusal(send: Callable[[bytes], httpx.Response]) -> Callable[..., dict[str, Any]]:
    """Sends a file that must be refused, and returns the error in OpenAI's envelope."""

    def refused(media: bytes, status: int = 400) -> dict[str, Any]:
        answer = send(media)
        assert answer.status_code == status, answer.content[:500]
        error = answer.json()["error"]
        code = {400: "audio_undecodable", 413: "audio_too_large"}[status]
        assert (error["code"], error["param"], error["type"]) == (code, "file", "invalid_request_error")
        return error

    return refused

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from intercepting_proxy import Door


@pytest.fixture
def url(fleet) -> str:
    return fleet.gateway.url


@pytest.fixture
def door(url) -> Iterator[Door]:
    with Door(url) as door:
        serving = threading.Thread(target=door.serve_forever)
        serving.start()
        yield door
        door.closing.set()
        door.shutdown()
        serving.join()


@pytest.fixture
def folder(tmp_path, sample) -> Path:
    """Two recordings, and something else."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "one.wav").write_bytes(sample)
    (tmp_path / "deep" / "TWO.WAV").write_bytes(sample)
    (tmp_path / "deep" / "notes.md").write_text("no audio")
    (tmp_path / "deep" / "._one.wav").write_text("what macOS keeps beside a file on a foreign disk")
    return tmp_path

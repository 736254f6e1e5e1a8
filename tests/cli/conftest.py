from collections.abc import Iterator
from pathlib import Path

import pytest
from intercepting_proxy import InterceptingProxy


@pytest.fixture
def url(fleet) -> str:
    return fleet.url


@pytest.fixture
def proxy(url) -> Iterator[InterceptingProxy]:
    with InterceptingProxy(url) as proxy, proxy.serving():
        yield proxy


@pytest.fixture
def folder(tmp_path, sample) -> Path:
    """A folder with two recordings and two other files."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "one.wav").write_bytes(sample)
    (tmp_path / "deep" / "TWO.WAV").write_bytes(sample)
    (tmp_path / "deep" / "notes.md").write_text("no audio")
    (tmp_path / "deep" / "._one.wav").write_text("macOS writes such a file beside one.wav on other file systems")
    return tmp_path

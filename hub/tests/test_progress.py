"""What is counted of a download, and the state file that another process reads."""

import time
from pathlib import Path

import pytest
from rapl_hub.display import DownloadDisplay
from rapl_hub.progress import DownloadMeter, bytes_on_disk
from rapl_hub.state import STALE_AFTER_S, DownloadPhase, DownloadState, StateWriter
from rapl_protocol.models import Progress


class SilentDisplay(DownloadDisplay):
    def __init__(self) -> None:
        self.shown: list[Progress] = []

    def show(self, progress: Progress) -> None:
        self.shown.append(progress)

    def close(self) -> None:
        pass


@pytest.mark.parametrize("name", ["model.pt", "model.pt.part", "model.pt.incomplete", "model.pt.rapl-part"])
def test_the_bytes_of_an_unfinished_file_count(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(bytes(40))
    (tmp_path / "model.json").write_bytes(bytes(7))

    assert bytes_on_disk(tmp_path / "model.pt", size=100) == 40


def test_a_file_counts_no_more_than_its_size(tmp_path: Path):
    (tmp_path / "a").write_bytes(bytes(40))

    assert bytes_on_disk(tmp_path / "a", size=30) == 30


def test_a_meter_reports_while_bytes_arrive_and_not_after_its_end(tmp_path: Path):
    reports: list[Progress] = []
    path = tmp_path / "a"
    with DownloadMeter(reports.append) as meter:
        meter.expect({path: 100})
        path.write_bytes(bytes(50))
        until = time.monotonic() + 30
        while reports[-1].done_bytes < 50 and time.monotonic() < until:
            time.sleep(0.01)
        path.write_bytes(bytes(100))
    count = len(reports)
    time.sleep(0.7)

    assert reports[0] == Progress(done_bytes=0)
    assert list(dict.fromkeys((r.done_bytes, r.total_bytes) for r in reports if r.done_bytes)) == [
        (50, 100),
        (100, 100),
    ]
    assert (reports[-1].bytes_per_s or 0) > 0
    assert len(reports) == count


def test_another_process_reads_the_phase_and_the_progress_until_the_model_is_there(tmp_path: Path):
    path, display = tmp_path / "state.json", SilentDisplay()
    (tmp_path / "a").write_bytes(bytes(3))
    with StateWriter(path, display) as writer:
        writer.downloading({tmp_path / "a": 10})
        downloading = DownloadState.read(path)
        writer.enter(DownloadPhase.WAITING, "why", "what to do")
        waiting = DownloadState.read(path)
        writer.finish()

        assert downloading is not None
        assert (downloading.phase, downloading.progress.done_bytes, downloading.total_bytes) == ("downloading", 3, 10)
        assert waiting is not None
        assert (waiting.phase, waiting.reason, waiting.remedy) == ("waiting", "why", "what to do")
        assert waiting.bytes_per_s is None
    assert not path.exists()
    assert display.shown[0].total_bytes == 10


def test_a_failure_stays_in_the_state_file(tmp_path: Path):
    with StateWriter(tmp_path / "state.json", SilentDisplay()) as writer:
        writer.enter(DownloadPhase.FAILED, "why", "what to do")

    state = DownloadState.read(tmp_path / "state.json")
    assert state is not None
    assert (state.phase, state.reason) == ("failed", "why")


@pytest.mark.parametrize("content", [None, "", "{}", '{"phase": "unknown"}'])
def test_a_missing_or_unreadable_state_is_none(tmp_path: Path, content: str | None):
    if content is not None:
        (tmp_path / "state.json").write_text(content)

    assert DownloadState.read(tmp_path / "state.json") is None


@pytest.mark.parametrize(("phase", "is_stale"), [("downloading", True), ("converting", True), ("failed", False)])
def test_a_state_goes_stale_when_its_writer_is_silent_unless_it_has_failed(phase: str, is_stale: bool):
    state = DownloadState(phase=DownloadPhase(phase), heartbeat_at=1000.0)

    assert not state.is_stale(1000.0 + STALE_AFTER_S - 1)
    assert state.is_stale(1000.0 + STALE_AFTER_S + 1) is is_stale

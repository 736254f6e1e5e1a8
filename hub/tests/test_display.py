"""How a download is described to a person."""

import logging

import pytest
from rapl_hub.display import DownloadDisplay, describe
from rapl_protocol.models import Progress


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (Progress(done_bytes=0), "0 MB"),
        (Progress(done_bytes=5_000_000, bytes_per_s=2e6), "5 MB, 2.0 MB/s"),
        (Progress(done_bytes=512_000_000, total_bytes=2_464_000_000), "512 of 2464 MB (20.8%)"),
        (
            Progress(done_bytes=1_000_000_000, total_bytes=2_000_000_000, bytes_per_s=5e7),
            "1000 of 2000 MB (50.0%), 50.0 MB/s, 20 s left",
        ),
        (
            Progress(done_bytes=40_000_000, total_bytes=940_000_000, bytes_per_s=1e6),
            "40 of 940 MB (4.3%), 1.0 MB/s, 15 min left",
        ),
    ],
)
def test_progress_is_described_in_megabytes_with_the_time_left(progress: Progress, text: str):
    assert describe(progress) == text


def test_without_a_terminal_there_is_one_log_line_and_not_one_for_each_report(caplog: pytest.LogCaptureFixture):
    display = DownloadDisplay("a/b", logging.getLogger("test"))
    with caplog.at_level(logging.INFO):
        for done in range(3):
            display.show(Progress(done_bytes=done, total_bytes=3))

    assert caplog.messages == ["model=a/b downloading 0 of 0 MB (0.0%)"]

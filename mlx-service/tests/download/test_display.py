"""How a download is described to a person."""

import pytest
from rapl_mlx.download.display import describe
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
    ],
)
def test_a_download_is_told_in_megabytes_with_the_time_left(progress: Progress, text: str):
    assert describe(progress) == text

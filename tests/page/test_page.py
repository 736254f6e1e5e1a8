"""A real Chromium uses the page of a running fleet, as a person does."""

import shutil
import sys

import pytest
from rapl_gateway.page.files import page_files

MOST_BYTES = 300_000

needs_chromium = pytest.mark.skipif(
    shutil.which("chromium") is None, reason="there is no Chromium; on Debian: apt-get install chromium"
)


def test_all_files_of_the_page_together_are_small():
    sizes = {path: len(file.content) for path, file in page_files().items()}

    assert sum(sizes.values()) < MOST_BYTES, sizes


@needs_chromium
@pytest.mark.parametrize("part", ["files", "fleet", "looks", "marks", "speech", "texts"])
def test_a_browser_uses_the_page(in_browser, part):
    sys.stdout.write(in_browser(part))  # with -s it says how long each test took, and how soon the page was usable

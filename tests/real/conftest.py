"""Every real service, with Whisper's published weights, and people's recordings."""

import os
from collections.abc import Iterator, Sequence

import pytest
from rapl_bench.real.models import RealModel, real_models
from rapl_bench.real.packages import RealPackages
from rapl_bench.real.recordings import RealRecordings
from real_fleet import CACHE, RealFleet, running_engines, running_gateway


@pytest.fixture(scope="session")
def packages() -> RealPackages:
    python = os.environ.get("RAPL_REAL_PYTHON")
    assert python, "RAPL_REAL_PYTHON is not set: run these tests with `./rapl test -m real`"
    return RealPackages(python, CACHE)


@pytest.fixture(scope="session")
def models(packages: RealPackages) -> dict[str, RealModel]:
    """TINY_EN and BASE by id."""
    return real_models(packages)


@pytest.fixture(scope="session")
def recordings(packages: RealPackages) -> RealRecordings:
    return RealRecordings(packages)


@pytest.fixture(scope="session")
def engines(
    tmp_path_factory: pytest.TempPathFactory, mlx_python: str, packages: RealPackages, models: dict[str, RealModel]
) -> Iterator[Sequence[str]]:
    """The URLs of mlx-service's processes; both models are loaded."""
    with running_engines(tmp_path_factory.mktemp("real-engines"), mlx_python, packages, models) as urls:
        yield urls


@pytest.fixture(scope="session")
def fleet(
    tmp_path_factory: pytest.TempPathFactory, engines: Sequence[str], models: dict[str, RealModel]
) -> Iterator[RealFleet]:
    """Every service that these models need."""
    with running_gateway(tmp_path_factory.mktemp("real-fleet"), engines, models) as fleet:
        yield fleet

"""Sets the contestants up, and measures clips, long recordings and sounds."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from rapl_bench.fleet import MLX_PYTHON, Fleet
from rapl_bench.groups.real import clips, long, sounds
from rapl_bench.groups.real.contestants import Contestant, Library, Rapl
from rapl_bench.groups.registry import GroupUnavailable
from rapl_bench.real.models import RealModel, real_models
from rapl_bench.real.packages import PackageUnavailable, RealPackages
from rapl_bench.real.recordings import RealRecordings
from rapl_bench.reporting.machine import version_elsewhere
from rapl_bench.reporting.results import BenchSettings, Table

REAL_PYTHON = "RAPL_BENCH_REAL_PYTHON"
RAPL, MLX_AUDIO, FASTER_WHISPER = "RAPL", "mlx-audio, called directly", "faster-whisper, beam 5"
_PATIENT = {"RAPL_DEADLINE_BASE_S": "600", "RAPL_MLX_DEADLINE_BASE_S": "600"}
"""A CPU may take minutes for a segment whose text Whisper tries at six temperatures."""


async def measure(settings: BenchSettings) -> Sequence[Table]:
    """Returns the group's tables.

    Raises:
        GroupUnavailable: an environment or a package is missing.
        ScriptError: a contestant exited.
    """
    return await asyncio.to_thread(_tables, settings)


def _tables(settings: BenchSettings) -> list[Table]:
    mlx_python, real_python = os.environ.get(MLX_PYTHON), os.environ.get(REAL_PYTHON)
    if not mlx_python or not real_python:
        raise GroupUnavailable("the environments with mlx-audio and with the published weights could not be made")
    packages = RealPackages(real_python, settings.cache / "real")
    try:
        models, environ = real_models(packages), packages.mlx_environ()
        recordings = RealRecordings(packages)
        all_clips, all_sounds, prompts = recordings.clips(), recordings.sounds(), recordings.prompts("en")
        pages = recordings.moonshine()
    except PackageUnavailable as error:
        raise GroupUnavailable(str(error)) from error
    versions = {
        "mlx-audio": version_elsewhere(mlx_python, "mlx-audio"),
        "faster-whisper": version_elsewhere(real_python, "faster-whisper"),
        "weights": "Whisper tiny.en and base, float32",
    }
    with _contestants(settings, packages, models, dict(environ), mlx_python) as contestants:
        return [
            *clips.tables(contestants, models, all_clips, settings, versions),
            long.table(contestants, models, [*all_clips, *pages], prompts, all_sounds, settings, versions),
            sounds.table(contestants, models, all_sounds, settings, versions),
        ]


@contextmanager
def _contestants(
    settings: BenchSettings,
    packages: RealPackages,
    models: dict[str, RealModel],
    environ: dict[str, str],
    mlx_python: str,
) -> Iterator[dict[str, Contestant]]:
    """The contestants by their name in the tables; RAPL is the first."""
    with Fleet(settings.scratch) as fleet, ExitStack() as stack:
        engine = fleet.mlx({model.id: model.mlx for model in models.values()}, **_PATIENT, **environ)
        gateway = fleet.gateway(engine, fleet.preprocess(), engine_url="RAPL_MLX_URL", models=tuple(models), **_PATIENT)
        found: dict[str, Contestant] = {RAPL: Rapl(gateway, fleet.log("gateway"))}
        for title, python, variables in (
            (MLX_AUDIO, mlx_python, environ),
            (FASTER_WHISPER, packages.python, {}),
        ):
            name = title.partition(",")[0]
            log = settings.scratch / f"real-{name}.log"
            found[title] = stack.enter_context(Library(name, python, variables, log))
        yield found

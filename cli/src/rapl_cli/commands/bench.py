"""`rapl bench`: installs the environments that the measurements need, and then runs the measurements."""

import argparse
import os
import subprocess

from rapl_cli.checkout import ROOT, STATE
from rapl_cli.errors import report
from rapl_cli.fleet.environments import FUNASR, MLX, REAL, SENSEVOICE, SPEAKERS, Environment, InstallError

BENCH = Environment("bench", sync=("--package", "rapl-bench", "--no-dev"))
LITELLM = Environment("bench-litellm", sync=(), installer=ROOT / "bench" / "install-litellm")
WHISPERLIVEKIT = Environment("bench-whisperlivekit", sync=(), installer=ROOT / "bench" / "install-whisperlivekit")
DIARIZERS = Environment("bench-diarizers", sync=(), installer=ROOT / "bench" / "install-diarizers")
NEEDED = {
    "gateway": {"RAPL_BENCH_LITELLM_PYTHON": LITELLM},
    "telemetry": {},
    "replicas": {},
    "scaling": {},
    "advised": {},
    "preprocess": {},
    "long": {"RAPL_BENCH_SENSEVOICE_PYTHON": SENSEVOICE},
    "fairness": {"RAPL_BENCH_SENSEVOICE_PYTHON": SENSEVOICE},
    "sensevoice": {"RAPL_BENCH_SENSEVOICE_PYTHON": SENSEVOICE, "RAPL_BENCH_FUNASR_PYTHON": FUNASR},
    "keywords": {"RAPL_BENCH_FUNASR_PYTHON": FUNASR},
    "realtime": {
        "RAPL_BENCH_SENSEVOICE_PYTHON": SENSEVOICE,
        "RAPL_BENCH_REAL_PYTHON": REAL,
        "RAPL_BENCH_WHISPERLIVEKIT_PYTHON": WHISPERLIVEKIT,
    },
    "speakers": {
        "RAPL_BENCH_SPEAKERS_PYTHON": SPEAKERS,
        "RAPL_BENCH_REAL_PYTHON": REAL,
        "RAPL_BENCH_DIARIZERS_PYTHON": DIARIZERS,
    },
    "real": {"RAPL_BENCH_MLX_PYTHON": MLX, "RAPL_BENCH_REAL_PYTHON": REAL},
}
"""For each group: the environments that it measures, by the variable that passes their Python interpreter."""
ONLY_BY_NAME = {"advised", "realtime", "speakers", "real"}
"""Groups that run only if they are named: each takes a quarter of an hour, and the last three download hundreds of
megabytes."""
FORMER_NAMES = {"lanes": "fairness"}
"""Groups that were renamed; the old name still works."""


def bench(options: argparse.Namespace) -> int:
    named: list[str] = options.groups
    groups = list(dict.fromkeys(FORMER_NAMES.get(name, name) for name in named)) or [
        name for name in NEEDED if name not in ONLY_BY_NAME
    ]
    unknown = set(groups) - set(NEEDED)
    if unknown:
        report(f"unknown group: {', '.join(sorted(unknown))}. The groups are {', '.join(NEEDED)}")
        return 2
    if options.publish and (options.quick or named):
        report("--publish needs a full run: do not combine it with --quick or with groups")
        return 2
    command = [str(BENCH.ensure()), "-m", "rapl_bench", *groups, "--state", str(STATE / "bench-cache")]
    command += ["--results", str(ROOT / "bench" / "results"), *(["--quick"] if options.quick else [])]
    command += ["--publish", str(ROOT / "README.md")] if options.publish else []
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, **_interpreters(groups)}) as measurements:
        try:
            return measurements.wait()
        except KeyboardInterrupt:
            measurements.terminate()  # it ends the programs that it measures
            raise


def _interpreters(groups: list[str]) -> dict[str, str]:
    """Returns the variables with the groups' interpreters. An environment that cannot be installed is left out."""
    found = {}
    for variable, environment in {name: env for group in groups for name, env in NEEDED[group].items()}.items():
        try:
            found[variable] = str(environment.ensure())
        except InstallError as error:
            report(f"{environment.name} will not be measured: {error}")
    return found

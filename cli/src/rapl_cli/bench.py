"""`rapl bench`: every environment that the measurements need, then the measurements."""

import argparse
import os
import subprocess
import sys

from rapl_cli.checkout import ROOT, STATE
from rapl_cli.fleet.environments import FUNASR, SENSEVOICE, Environment, InstallError

BENCH = Environment("bench", sync=("--package", "rapl-bench", "--no-dev"))
LITELLM = Environment("bench-litellm", sync=(), installer=ROOT / "bench" / "install-litellm")
NEEDED = {
    "gateway": {"RAPL_BENCH_LITELLM_PYTHON": LITELLM},
    "replicas": {},
    "preprocess": {},
    "long": {"RAPL_BENCH_SENSEVOICE_PYTHON": SENSEVOICE},
    "lanes": {"RAPL_BENCH_SENSEVOICE_PYTHON": SENSEVOICE},
    "sensevoice": {"RAPL_BENCH_SENSEVOICE_PYTHON": SENSEVOICE, "RAPL_BENCH_FUNASR_PYTHON": FUNASR},
}
"""For each group the variables that name the interpreters of what it measures, beside the fleet's own."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(NEEDED)}; by default all of them")
    parser.add_argument("--quick", action="store_true", help="to see that it works: few rounds, no figures to quote")
    parser.add_argument(
        "--publish", action="store_true", help="make this run bench/results/latest and the README's table"
    )


def bench(given: argparse.Namespace) -> int:
    unknown = set(given.groups) - set(NEEDED)
    if unknown:
        print(f"rapl: no such group: {', '.join(sorted(unknown))}; there are {', '.join(NEEDED)}", file=sys.stderr)
        return 2
    if given.publish and (given.quick or given.groups):
        print("rapl: only a whole run can be published, neither a quick one nor a part", file=sys.stderr)
        return 2
    groups = given.groups or list(NEEDED)
    command = [str(BENCH.ensure()), "-m", "rapl_bench", *groups, "--state", str(STATE / "bench-cache")]
    command += ["--results", str(ROOT / "bench" / "results"), *(["--quick"] if given.quick else [])]
    command += ["--publish", str(ROOT / "README.md")] if given.publish else []
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **_interpreters(groups)}).returncode


def _interpreters(groups: list[str]) -> dict[str, str]:
    """What could not be installed is left out: the group says so in its table, and measures the rest."""
    found = {}
    for variable, environment in {name: env for group in groups for name, env in NEEDED[group].items()}.items():
        try:
            found[variable] = str(environment.ensure())
        except InstallError as error:
            print(f"rapl: {environment.name} is left out: {error}", file=sys.stderr)
    return found

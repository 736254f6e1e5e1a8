"""`python -m rapl_bench GROUP...`: measures groups, and writes a report.

`./rapl bench` installs the environments that the groups need, and then runs this module."""

import argparse
import asyncio
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from rapl_bench.groups.registry import GROUPS, GroupUnavailable, measurement
from rapl_bench.reporting import machine
from rapl_bench.reporting.publish import publish
from rapl_bench.reporting.report import Report, write
from rapl_bench.reporting.results import BenchSettings

log = logging.getLogger("rapl.bench")


def main() -> int:
    parser = argparse.ArgumentParser(prog="rapl bench")
    parser.add_argument("groups", nargs="*", choices=[*GROUPS, []], metavar="GROUP")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--state", type=Path, required=True, help="folder for files that all runs share")
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument(
        "--publish",
        type=Path,
        metavar="README",
        help="publish this run, and write its headlines into this file",
    )
    options = parser.parse_args()
    options.state.mkdir(parents=True, exist_ok=True)
    folder = options.results / f"{datetime.now():%Y-%m-%d-%H%M}-{machine.short_name()}"
    report = _empty_report(options.quick)
    with tempfile.TemporaryDirectory(prefix="rapl-bench-") as scratch:
        _end_with_everything(scratch)
        settings = BenchSettings(options.quick, Path(scratch), options.state)
        for group in options.groups or list(GROUPS):
            _measure(group, settings, report)
            write(report, folder)
    print(f"{folder / 'report.md'}")
    if options.publish and not report.failures:
        publish(report, folder, options.results, options.publish)
    return 1 if report.failures else 0


def _end_with_everything(scratch: str) -> None:
    """From now on SIGTERM also ends the measured programs: all are in the process group of this one."""
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)

    def end(*_: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)
        shutil.rmtree(scratch, ignore_errors=True)
        os._exit(128 + signal.SIGTERM)  # at once: a group's thread would start further programs

    signal.signal(signal.SIGTERM, end)


def _measure(group: str, settings: BenchSettings, report: Report) -> None:
    """Adds the group's tables to the report, or the reason why it failed; the other groups still run."""
    print(f"rapl bench: {group}: {GROUPS[group]}", file=sys.stderr)
    began = time.monotonic()
    try:
        report.tables += asyncio.run(measurement(group)(settings))
    except GroupUnavailable as error:
        report.failures[group] = str(error)
    except Exception as error:
        log.exception("%s failed", group)
        report.failures[group] = f"{type(error).__name__}: {error}"
    report.took_s[group] = time.monotonic() - began
    outcome = "failed" if group in report.failures else "measured"
    print(f"rapl bench: {group} {outcome} in {report.took_s[group]:.0f} s", file=sys.stderr)


def _empty_report(quick: bool) -> Report:
    software = {"RAPL": machine.revision(Path(__file__).parent)}
    software |= machine.versions("aiohttp", "uvicorn", "uvloop", "av", "numpy")
    return Report(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", machine.machine(), software, quick)


if __name__ == "__main__":
    sys.exit(main())

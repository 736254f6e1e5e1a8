"""The machine and the software versions of a run."""

import importlib.metadata
import os
import platform
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

_LIMIT_S = 60


def machine() -> dict[str, str]:
    """Facts about the machine that matter when runs are compared."""
    return {
        "processor": _processor(),
        "cores": _cores(),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()) + " (runnable processes, 1, 5 and 15 min)",
    }


def short_name() -> str:
    """A name for a folder, such as "AMD-EPYC-2-cores"."""
    name = re.sub(r"\(.*?\)|CPU|Processor|@.*", " ", _processor())
    return "-".join([*re.findall(r"[A-Za-z0-9]+", name)[:4], str(os.cpu_count()), "cores"])


def versions(*packages: str) -> dict[str, str]:
    """Versions of this interpreter and of packages in this environment."""
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}}


def version_elsewhere(python: str, package: str) -> str:
    """Version of a package in another environment."""
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return _output([python, "-c", code])


def first_line(command: Sequence[str]) -> str:
    """The first line that a command prints, such as `ffmpeg -version`."""
    return _output(command).splitlines()[0]


def revision(folder: Path) -> str:
    """The current commit, and whether files differ from it; "unknown" outside a Git checkout."""
    try:
        commit = _output(["git", "-C", str(folder), "rev-parse", "--short", "HEAD"])
        is_changed = _output(["git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no"])
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{commit} with changes" if is_changed else commit


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = re.search(r"^model name\s*: (.+)$", cpuinfo.read_text(), re.MULTILINE)
        return found[1] if found else platform.machine()
    return _output(["sysctl", "-n", "machdep.cpu.brand_string"])


def _cores() -> str:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return str(usable) if usable == os.cpu_count() else f"{usable} of {os.cpu_count()}"


def _output(command: Sequence[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=_LIMIT_S).stdout.strip()

"""The number of processor cores that this process may use."""

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def cpu_quota(cgroup: Path = CGROUP) -> int:
    """Returns whole cores, at least 1: the lower of the container's CPU limit and the process's affinity.

    One thread too many is worse than one too few: with another process on one of two cores, torch's two threads took
    1.6 to 2.4 s for a clip that takes 0.32 s, because they spin at barriers.
    """
    limit = _cgroup_limit(cgroup)
    available = _affinity()
    return max(1, min(available, int(limit)) if limit else available)


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS has no affinity


def _cgroup_limit(cgroup: Path) -> float | None:
    """Returns the container's CPU limit in cores, or None if there is none.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max). cgroup v1 has two files instead.
    """
    if line := _read(cgroup / "cpu.max"):
        quota, period = line.split()
        return None if quota == "max" else int(quota) / int(period)
    quota, period = _read(cgroup / "cpu/cpu.cfs_quota_us"), _read(cgroup / "cpu/cpu.cfs_period_us")
    if quota and period and int(quota) > 0:
        return int(quota) / int(period)
    return None


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None

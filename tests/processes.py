"""CPU time and memory of processes and their children, from /proc on Linux."""

import os
from pathlib import Path

IS_LINUX = Path("/proc/self/stat").exists()
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """The process and all its descendants."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and (fields := _stat(int(folder.name))):
            parents[int(folder.name)] = int(fields[1])
    found = [pid]
    for member in found:
        found += [child for child, parent in parents.items() if parent == member]
    return found


def cpu_s(pids: list[int]) -> float:
    """CPU time of the processes that still run, in seconds."""
    return sum((int(f[11]) + int(f[12])) / _TICKS_PER_S for f in map(_stat, pids) if f)


def own_memory_bytes(pids: list[int]) -> int:
    """Private and proportionally shared anonymous memory of the processes, without mapped files."""
    return sum(_private(pid) for pid in pids)


def _private(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    sizes = {line.split(":")[0]: int(line.split()[1]) << 10 for line in lines[1:]}
    return sizes["Pss_Anon"] + sizes["Pss_Shmem"]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name; empty if the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []

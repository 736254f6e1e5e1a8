"""Memory of a process and of the machine, as reported by the operating system."""

import ctypes
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path

_RUSAGE_INFO_V0 = 0


class _Usage(ctypes.Structure):
    """`struct rusage_info_v0`. Source: <sys/resource.h> of macOS."""

    _fields_ = (
        ("uuid", ctypes.c_uint8 * 16),
        ("times_and_wakeups", ctypes.c_uint64 * 5),
        ("wired_bytes", ctypes.c_uint64),
        ("resident_bytes", ctypes.c_uint64),
        ("footprint_bytes", ctypes.c_uint64),
        ("start_and_exit", ctypes.c_uint64 * 2),
    )


def process_bytes(pid: int) -> int | None:
    """Returns the memory of a process of this user; None if the process has ended."""
    return _footprint_bytes(pid) if sys.platform == "darwin" else _resident_bytes(pid)


def machine_bytes() -> int:
    """Returns the physical memory of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _resident_bytes(pid: int) -> int | None:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_bytes().split()[1])
    except (OSError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") or None


def _footprint_bytes(pid: int) -> int | None:
    """Returns the figure of Activity Monitor. It includes Metal's memory, which the resident size may not include."""
    usage = _Usage()
    if _proc_pid_rusage()(pid, _RUSAGE_INFO_V0, ctypes.byref(usage)):
        return None
    return usage.footprint_bytes


@functools.cache
def _proc_pid_rusage() -> Callable[..., int]:
    function = ctypes.CDLL("/usr/lib/libproc.dylib").proc_pid_rusage
    function.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
    function.restype = ctypes.c_int
    return function

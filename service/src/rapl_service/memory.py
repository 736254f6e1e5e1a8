"""The memory of a process, and the return of what it does not use to the system."""

import contextlib
import ctypes
import functools
import gc
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_M_ARENA_MAX = -8
"""Source: <malloc.h> of glibc."""
_MADV_DONTNEED = 4
"""Source: <asm-generic/mman-common.h> of Linux."""
_FILE_MAPPING = re.compile(
    r"^(?P<start>[0-9a-f]+)-(?P<end>[0-9a-f]+) r-.. \S+ \S+ \S+ +/.*\n(?:\w+: .*\n)*?Anonymous: +(?P<own_kb>\d+) kB$",
    re.M,
)
MUCH_BYTES = 16 << 20
LITTLE_BYTES, LITTLE_AFTER_S = 2 << 20, 60.0
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


def share_one_arena() -> None:
    """Makes all threads share one arena of glibc's allocator. This saves 13 MB at the real model's size and is not
    slower, because the compute libraries have their own allocators. Call it before threads start."""
    with contextlib.suppress(_NotGlibc):
        _glibc().mallopt(_M_ARENA_MAX, 1)


def give_memory_back() -> None:
    """Returns freed memory that the C library still holds."""
    gc.collect()
    with contextlib.suppress(_NotGlibc):
        _glibc().malloc_trim(0)


class MemoryTrimmer:
    """Trims the heap after requests, because glibc keeps freed memory below a block that is still in use. After 30 long
    recordings at once the gateway used 117 MB, and 63 MB of them were free."""

    def __init__(self) -> None:
        self._least_bytes = _own_bytes()
        self._trimmed_at = time.monotonic()

    def trim_if_grown(self) -> None:
        """Trims at once after large growth, and once a minute after small growth. It takes some milliseconds, so call
        it while no request is in work."""
        now_bytes = _own_bytes()
        is_long_ago = time.monotonic() - self._trimmed_at > LITTLE_AFTER_S
        if now_bytes > self._least_bytes + (LITTLE_BYTES if is_long_ago else MUCH_BYTES):
            give_memory_back()
            self._trimmed_at = time.monotonic()
            self._least_bytes = _own_bytes()
        else:
            self._least_bytes = min(self._least_bytes, now_bytes)


def release_file_pages() -> None:
    """Releases the unchanged pages of mapped files: weights that an engine has copied, and code, most of which runs
    only at the start. They are read from the file again when they are used.

    The system would release them only when memory is short. Until then they count as the process's memory.
    """
    with contextlib.suppress(_NotGlibc):
        madvise = _glibc().madvise
        madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        for start, end in _unchanged_file_mappings(Path("/proc/self/smaps").read_text()):
            madvise(start, end - start, _MADV_DONTNEED)


def _unchanged_file_mappings(smaps: str) -> Iterator[tuple[int, int]]:
    """Start and end of each mapping. Mappings with private pages, such as a library's relocations, are left out.

    Source: proc_pid_smaps(5).
    """
    for mapping in _FILE_MAPPING.finditer(smaps):
        if int(mapping["own_kb"]) == 0:
            yield int(mapping["start"], 16), int(mapping["end"], 16)


class _NotGlibc(Exception):
    pass


@functools.cache
def _glibc() -> ctypes.CDLL:
    """glibc, loaded once, because loading waits while another thread loads a library, and holds the GIL meanwhile.

    Raises:
        _NotGlibc: the system has another C library.
    """
    if sys.platform != "linux":
        raise _NotGlibc
    try:
        return ctypes.CDLL("libc.so.6")
    except OSError as error:
        raise _NotGlibc from error


def _own_bytes() -> int:
    """Resident memory of this process; 0 if the system does not report it."""
    return _resident_bytes(os.getpid()) or 0


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

"""Memory that a process holds without need, given back to the system."""

import contextlib
import ctypes
import functools
import gc
import os
import re
import sys
import time
from collections.abc import Iterator
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


def share_one_arena() -> None:
    """All threads take memory from one place, instead of each keeping what it freed for itself: 13 MB less at the real
    dimensions, and no slower, for what computes has an allocator of its own. To be called before there are threads."""
    with contextlib.suppress(_NotGlibc):
        _glibc().mallopt(_M_ARENA_MAX, 1)


def give_memory_back() -> None:
    """What was freed, as far as the C library keeps it."""
    gc.collect()
    with contextlib.suppress(_NotGlibc):
        _glibc().malloc_trim(0)


class MemoryTrimmer:
    """What requests have left: glibc keeps whatever was freed below something that is still in use. After 30 long
    recordings at once the gateway held 117 MB, of which 63 were free."""

    def __init__(self) -> None:
        self._least_bytes = _resident_bytes()
        self._trimmed_at = time.monotonic()

    def trim_if_grown(self) -> None:
        """Much of it at once, and a little once in a while. To be called in a moment in which nobody waits: it takes
        some milliseconds."""
        now_bytes = _resident_bytes()
        is_long_ago = time.monotonic() - self._trimmed_at > LITTLE_AFTER_S
        if now_bytes > self._least_bytes + (LITTLE_BYTES if is_long_ago else MUCH_BYTES):
            give_memory_back()
            self._trimmed_at = time.monotonic()
            self._least_bytes = _resident_bytes()
        else:
            self._least_bytes = min(self._least_bytes, now_bytes)


def _resident_bytes() -> int:
    """0 where the system does not say."""
    with contextlib.suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def release_file_pages() -> None:
    """Lets go of the pages that are as they lie in files: weights that an engine has copied, and the code of programs
    and libraries, of which most runs but once, at the start. Who reads them again gets them again.

    The system would take them when memory is short; until then they count against the process.
    """
    with contextlib.suppress(_NotGlibc):
        madvise = _glibc().madvise
        madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        for start, end in _unchanged_file_mappings(Path("/proc/self/smaps").read_text()):
            madvise(start, end - start, _MADV_DONTNEED)


def _unchanged_file_mappings(smaps: str) -> Iterator[tuple[int, int]]:
    """Where they begin and end; none that holds pages of this process's own, such as a library's relocations.

    Source: proc_pid_smaps(5).
    """
    for mapping in _FILE_MAPPING.finditer(smaps):
        if int(mapping["own_kb"]) == 0:
            yield int(mapping["start"], 16), int(mapping["end"], 16)


class _NotGlibc(Exception):
    pass


@functools.cache
def _glibc() -> ctypes.CDLL:
    """Looked up once, for that waits while another thread loads libraries, and the whole of Python with it.

    Raises:
        _NotGlibc: the C library is another one.
    """
    if sys.platform != "linux":
        raise _NotGlibc
    try:
        return ctypes.CDLL("libc.so.6")
    except OSError as error:
        raise _NotGlibc from error

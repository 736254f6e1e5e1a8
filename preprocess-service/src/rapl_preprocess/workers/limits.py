"""The limits of a decoding process. The kernel enforces them, whatever the process is doing."""

import math
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_OPEN_FILES = 64
_WALL_CLOCK_FACTOR = 10
"""Factor between the limits of wall-clock time and CPU time. It is high because the machine may have other work."""


@dataclass(frozen=True, slots=True)
class Limits:
    memory_bytes: int
    """Memory of the whole process, without mapped files. Only Linux enforces it."""
    cpu_s: float
    """CPU time for one file, in seconds."""
    stall_s: float
    """CPU time for one batch, in seconds. A limit of wall-clock time would be wrong: a good file exceeded it at a load
    of 25."""

    def restrict_process(self) -> None:
        """Limits memory, core dumps and open files of this process. It cannot raise these limits again."""
        _lower(resource.RLIMIT_DATA, self.memory_bytes)
        _lower(resource.RLIMIT_CORE, 0)
        _lower(resource.RLIMIT_NOFILE, _OPEN_FILES)

    def restrict_file(self) -> None:
        """Resets the limit of CPU time for the next file."""
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + self.cpu_s), hard))

    @contextmanager
    def no_stall(self) -> Iterator[None]:
        """Ends the process if the block takes longer than `stall_s`.

        A signal without a Python handler also ends C code.
        """
        signal.setitimer(signal.ITIMER_PROF, self.stall_s)
        signal.setitimer(signal.ITIMER_REAL, self.stall_s * _WALL_CLOCK_FACTOR)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)


def _lower(kind: int, wanted: int) -> None:
    _, hard = resource.getrlimit(kind)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (limit, limit))

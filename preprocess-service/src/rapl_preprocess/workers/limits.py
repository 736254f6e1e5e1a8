"""What a process that decodes may take; the kernel ends the one that takes more, whatever it is doing."""

import math
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_OPEN_FILES = 64
_WALL_CLOCK_FACTOR = 10
"""How much longer than its CPU time something may take by the clock, on a machine with other work."""


@dataclass(frozen=True, slots=True)
class Limits:
    memory_bytes: int
    """Of the whole process, what it maps from files left out. Only Linux enforces it."""
    cpu_s: float
    """For one file."""
    stall_s: float
    """CPU time from one sign of progress to the next: a loop without end takes all it can get, and by the clock a good
    file on a machine with a load of 25 looked like one."""

    def restrict_process(self) -> None:
        """For good: no memory beyond the limit, no core dump, no more than a few files."""
        _lower(resource.RLIMIT_DATA, self.memory_bytes)
        _lower(resource.RLIMIT_CORE, 0)
        _lower(resource.RLIMIT_NOFILE, _OPEN_FILES)

    def restrict_file(self) -> None:
        """From now on a file's CPU time counts."""
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + self.cpu_s), hard))

    @contextmanager
    def no_stall(self) -> Iterator[None]:
        """What takes longer within ends the process: a signal that Python does not handle reaches it in C code too."""
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

"""`rapl logs`: the log of the services that `rapl up --detach` started."""

import os
import time
from collections import deque
from collections.abc import Generator, Iterator
from itertools import chain
from pathlib import Path

import psutil

from rapl_cli.commands.up import LOCK, LOG_FILE
from rapl_cli.errors import CommandError, report

_LOOK_EVERY_S = 0.2
_IN_CONTAINERS = "The log of services in containers is shown by `docker compose logs --follow`."


def logs(service: str | None, *, follow: bool, lines: int) -> int:
    """Prints the last `lines` lines, of one service if it is named, and then new ones.

    Raises:
        CommandError: there is no log, or the services that run do not write it.
    """
    _require_log()
    entries = _LogFile(LOG_FILE)
    earlier = LOG_FILE.with_name(f"{LOG_FILE.name}.1")
    stored = chain(_LogFile(earlier).new_lines() if earlier.exists() else (), entries.new_lines())
    for line in deque((line for line in stored if _is_of(line, service)), maxlen=lines):
        print(line, flush=True)
    try:
        for line in entries.endless() if follow else ():
            if _is_of(line, service):
                print(line, flush=True)
    except KeyboardInterrupt:
        pass  # the usual end
    return 0


class _LogFile:
    """A log that may be rotated: renamed, and begun anew under its name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open(errors="replace")
        self._begun = ""
        """The beginning of a line whose end is not written yet."""

    def new_lines(self) -> Iterator[str]:
        """Yields the lines up to the end of the file."""
        for part in self._file:
            self._begun += part
            if self._begun.endswith("\n"):
                yield self._begun[:-1]
                self._begun = ""

    def endless(self) -> Generator[str]:
        """Yields the lines as they are written, without end."""
        while True:
            is_renamed = self._is_renamed()
            yield from self.new_lines()
            if is_renamed:
                self._file.close()
                self._file = self._path.open(errors="replace")
            else:
                time.sleep(_LOOK_EVERY_S)

    def _is_renamed(self) -> bool:
        try:
            return self._path.stat().st_ino != os.fstat(self._file.fileno()).st_ino
        except FileNotFoundError:  # it is being renamed now
            return False


def _require_log() -> None:
    holder = LOCK.holder()
    if holder is not None and not _is_detached(holder):
        raise CommandError("the services run in the foreground, so their log is in the terminal of `./rapl up`")
    if not LOG_FILE.exists():
        raise CommandError(f"there is no log, because `./rapl up --detach` was never run here. {_IN_CONTAINERS}")
    if holder is None:
        report(f"the services do not run; this is the log of their last run. {_IN_CONTAINERS}")


def _is_detached(pid: int) -> bool:
    """Whether the parent of the services' supervisor is the program that writes the log."""
    try:
        parent = psutil.Process(pid).parent()
        return parent is not None and "rapl_cli.rotating_log" in parent.cmdline()
    except psutil.Error:
        return False


def _is_of(line: str, service: str | None) -> bool:
    return service is None or line.partition(" |")[0].strip() == service

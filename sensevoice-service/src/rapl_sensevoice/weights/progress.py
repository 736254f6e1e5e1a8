"""Tells of a download while it runs: the server through the state file, a person on the terminal or in the log."""

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rapl_sensevoice.weights.download_state import DownloadPhase, DownloadState, clear_state
from rapl_sensevoice.weights.hub import HubFile
from rapl_sensevoice.weights.manifest import size_of

HEARTBEAT_S = 1.0
LOG_EVERY_S = 10.0
SPEED_WINDOW_S = 10.0

log = logging.getLogger("rapl.prepare-model")


class DownloadProgress:
    """Counts the bytes in the folder once a second, on a thread of its own, from `__enter__` to `__exit__`.

    The folder and not the client is asked, so bytes of an earlier run count, and every client counts alike.

    Args:
        folder: of the model.
        is_terminal: whether a person looks on, who sees a bar; a log gets a line now and then.
    """

    def __init__(self, folder: Path, is_terminal: bool) -> None:
        self._folder = folder
        self._is_terminal = is_terminal
        self._files: Sequence[HubFile] = ()
        self._state = DownloadState(phase=DownloadPhase.DOWNLOADING)
        self._samples: deque[tuple[float, int]] = deque()
        self._bar: Any = None
        self._logged_at = time.monotonic()
        self._is_finished = False
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="download progress", daemon=True)

    def __enter__(self) -> Self:
        self._tell()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._tell()
        if self._bar is not None:
            self._bar.close()

    def downloading(self, files: Sequence[HubFile]) -> None:
        """`files` are what comes now; what was wrong before is over."""
        self._files = files
        self._enter(DownloadState(phase=DownloadPhase.DOWNLOADING))

    def waiting(self, reason: str, remedy: str) -> None:
        log.warning("%s", reason)
        self._enter(DownloadState(phase=DownloadPhase.WAITING, reason=reason, remedy=remedy))

    def converting(self) -> None:
        log.info("converting the weights, once")
        self._enter(DownloadState(phase=DownloadPhase.CONVERTING))

    def failed(self, reason: str, remedy: str) -> None:
        log.error("%s. %s", reason, remedy)
        self._enter(DownloadState(phase=DownloadPhase.FAILED, reason=reason, remedy=remedy))

    def finish(self) -> None:
        """Everything is there: the manifest says so from now on, and the state file goes."""
        self._tell()
        with self._lock:
            self._is_finished = True
            clear_state(self._folder)

    def _enter(self, state: DownloadState) -> None:
        self._state = state
        self._tell()

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_S):
            self._tell()

    def _tell(self) -> None:
        with self._lock:
            if self._is_finished:
                return
            done = sum(bytes_here(file, self._folder) for file in self._files)
            total = sum(file.size for file in self._files) or None
            speed = self._speed(done) if self._state.phase is DownloadPhase.DOWNLOADING else None
            numbers = {"done_bytes": done, "total_bytes": total, "bytes_per_s": speed}
            try:
                self._state.model_copy(update=numbers).write(self._folder)
            except OSError:
                log.exception("cannot write the state of the download")
            if total and self._state.phase is DownloadPhase.DOWNLOADING:
                self._show(done, total, speed)

    def _speed(self, done: int) -> float | None:
        """Bytes per second over the last seconds; None before there is a second look."""
        now = time.monotonic()
        self._samples.append((now, done))
        while now - self._samples[0][0] > SPEED_WINDOW_S:
            self._samples.popleft()
        (then, before), took_s = self._samples[0], now - self._samples[0][0]
        return max(0, done - before) / took_s if then != now and took_s > 0 else None

    def _show(self, done: int, total: int, speed: float | None) -> None:
        if self._is_terminal:
            self._show_bar(done, total)
        elif time.monotonic() - self._logged_at >= LOG_EVERY_S:
            self._logged_at = time.monotonic()
            log.info("%.0f of %.0f MB, %.1f MB/s", done / 1e6, total / 1e6, (speed or 0) / 1e6)

    def _show_bar(self, done: int, total: int) -> None:
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(total=total, unit="B", unit_scale=True, desc="SenseVoiceSmall", disable=False)
        self._bar.total = total
        self._bar.update(done - self._bar.n)


def bytes_here(file: HubFile, folder: Path) -> int:
    """Of a whole file, or of what the clients keep beside it while it comes: `NAME.part`, `NAME.incomplete`, ..."""
    whole = size_of(folder / file.name)
    if whole is None:
        whole = sum(size_of(path) or 0 for path in folder.glob(f"{file.name}[._]*"))
    return min(whole, file.size)


def is_terminal() -> bool:
    return sys.stderr.isatty()

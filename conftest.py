"""For all tests: property tests have no time limit, and an async test that blocks the event loop fails."""

import asyncio
import gc
import inspect
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadFileScheduling

MAX_CALLBACK_S = 2.0
"""Processor time that one callback may take in the event loop's thread. Wall time would depend on what else runs on the
machine. Fakes that make seconds of a tone take 0.2 s; the services' own callbacks take milliseconds."""
MAX_WAIT_S = 5.0
"""Wall time of one callback, less the time in which other programs had the cores: for callbacks that sleep or wait for
a file."""
WATCHED = ("gateway", "service")

os.environ["RAPL_ENV_FILE"] = os.devnull  # the settings of a developer's checkout do not change the tests
os.environ.pop("RAPL_ROOT", None)  # `./rapl test` sets it, and services would look for rapl.toml there

hypothesis.settings.register_profile("rapl", deadline=None, database=None)
hypothesis.settings.load_profile("rapl")


class ScheduleByFile(LoadFileScheduling):
    """The tests of a file run in one process. So do all of `tests/cli`: they start the services of this checkout."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "tests/cli" if file.startswith("tests/cli/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ScheduleByFile | None:
    return ScheduleByFile(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_finish() -> None:
    """Leaves the modules and the collected tests out of every later garbage collection. They stay for the whole run,
    and with them a collection in the middle of a callback took seconds on a busy machine."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def event_loop_is_not_blocked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails an async test of the watched folders in which a callback computes for too long without an await."""
    folder = request.path.relative_to(request.config.rootpath).parts[0]
    if folder not in WATCHED or not inspect.iscoroutinefunction(getattr(request, "function", None)):
        yield
        return
    slow: list[str] = []
    run = asyncio.Handle._run
    without_core_s = _without_core_s()

    def timed_run(handle: asyncio.Handle) -> None:
        began, began_wall = time.thread_time(), time.monotonic()
        run(handle)
        took_s, waited_s = time.thread_time() - began, time.monotonic() - began_wall
        if took_s > MAX_CALLBACK_S or (
            waited_s > MAX_WAIT_S and waited_s - (_without_core_s() - without_core_s) > MAX_WAIT_S
        ):
            slow.append(f"{took_s:.2f} s of work, {waited_s:.2f} s in all, in {handle!r}")

    monkeypatch.setattr(asyncio.Handle, "_run", timed_run)
    yield
    assert not slow, f"the event loop was blocked: {slow}"


def _without_core_s() -> float:
    """How long this thread was ready to run and no core was free. Source: Documentation/scheduler/sched-stats.rst of
    Linux; elsewhere it is 0."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except FileNotFoundError:
        return 0.0

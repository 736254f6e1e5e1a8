"""Runs programs side by side: merges their logs, restarts a program that exits, and stops all of them."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from rapl_service.exit_codes import BAD_SETTING
from rapl_service.settings.unknown import REPORTED
from rapl_service.supervised import PIPE_VARIABLE, STOP_GRACE_S
from tqdm import tqdm

from rapl_cli.fleet.programs import Program

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_STEADY_S = 60.0
"""After a program ran this long, its next restart uses the shortest pause again."""
_COLOURS = (36, 33, 35, 32, 34)


@dataclass(eq=False)
class StartError(Exception):
    """A program could not start, so the others were stopped."""

    program: str
    code: int
    """Its exit code; that of a wrong setting is BAD_SETTING."""
    reason: str
    """Its last lines."""

    def __str__(self) -> str:
        return f"{self.program} could not start: {self.reason or f'exit code {self.code}'}"


class Supervisor:
    """Runs programs as its children. They end when this process ends, even by SIGKILL."""

    def __init__(self, programs: Sequence[Program], *, quiet: bool = False) -> None:
        """`quiet`: do not print the programs' output."""
        self._programs = programs
        self._quiet = quiet
        self._width = max(len(program.name) for program in programs)
        self._stopping = asyncio.Event()
        self._tails: dict[str, list[str]] = {program.name: [] for program in programs}
        self._has_started = False
        self._failure: StartError | None = None

    async def run(self) -> None:
        """Runs until `stop()`, and returns when every program has ended.

        Raises:
            StartError: a setting of a program is wrong, or it ended before `has_started()` was called.
        """
        self._pipe, write_end = os.pipe()
        try:
            await asyncio.gather(*(self._keep_running(number, p) for number, p in enumerate(self._programs)))
        finally:
            os.close(self._pipe)
            os.close(write_end)
        if self._failure:
            raise self._failure

    def has_started(self) -> None:
        """From now on a program that ends is started again."""
        self._has_started = True

    def stop(self) -> None:
        self._stopping.set()

    def _reason(self, program: Program, code: int) -> str:
        lines = [line for line in self._tails[program.name] if line.strip()]
        return "; ".join(lines if code == BAD_SETTING else lines[-1:])

    async def _keep_running(self, number: int, program: Program) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._stopping.is_set():
            began = asyncio.get_running_loop().time()
            code = await self._run_once(number, program)
            if self._stopping.is_set() or (program.once and code == 0):
                return
            if code == BAD_SETTING or not (self._has_started or program.once):
                self._failure = self._failure or StartError(program.name, code, self._reason(program, code))
                self.stop()
                return
            if asyncio.get_running_loop().time() - began > _STEADY_S:
                pause_s = _FIRST_PAUSE_S
            self._write(number, program, f"exited with code {code}; restarting in {pause_s:g} s")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _run_once(self, number: int, program: Program) -> int:
        process = await asyncio.create_subprocess_exec(
            *program.command,
            env={**os.environ, **program.environ, PIPE_VARIABLE: str(self._pipe), REPORTED: "yes"},
            pass_fds=[self._pipe],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=1 << 20,
            start_new_session=True,  # Ctrl-C reaches only this process, which then stops the programs
        )
        log = asyncio.create_task(self._copy_log(number, program, process))
        stopping = asyncio.create_task(self._stopping.wait())
        ended = asyncio.create_task(process.wait())
        try:
            await asyncio.wait({stopping, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:  # also if this task is cancelled
            if not ended.done():
                await _end(process)
            stopping.cancel()
            await log
        return await ended

    async def _copy_log(self, number: int, program: Program, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            text = line.decode("utf-8", "replace").rstrip()
            tail = self._tails[program.name]
            tail.append(text)
            del tail[:-50]
            if not self._quiet:
                self._write(number, program, text)

    def _write(self, number: int, program: Program, text: str) -> None:
        label = f"{program.name:<{self._width}} |"
        if sys.stderr.isatty():
            label = f"\x1b[{_COLOURS[number % len(_COLOURS)]}m{label}\x1b[0m"
        tqdm.write(f"{label} {text}", file=sys.stderr)  # tqdm writes above the progress bar, if there is one


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_GRACE_S)
        except TimeoutError:
            process.kill()

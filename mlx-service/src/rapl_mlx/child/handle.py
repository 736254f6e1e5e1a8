"""The parent's handle of one model's process. It never imports mlx: that is why the process exists."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

from rapl_protocol.frames import Frame, decode_frames, encode_frame

from rapl_mlx.child.contract import ChildConfig
from rapl_mlx.models.catalog import ModelSource
from rapl_mlx.settings import Settings

_READ_BYTES = 1 << 16
_EXIT_GRACE_S = 5.0
"""A child that has closed its output has nothing left to do but to exit."""


class ChildProcess:
    """One process with one model, from its start to the last of its frames."""

    def __init__(self, process: Process, work_dir: Path) -> None:
        self._process = process
        self._work_dir = work_dir

    @classmethod
    async def start(cls, source: ModelSource, settings: Settings) -> Self:
        """Starts a process for the model, with a directory that it may write to."""
        work_dir = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="rapl-mlx-"))
        arguments = ("-m", "rapl_mlx.child.main", _config(source, settings, work_dir).model_dump_json())
        # A session of its own: Ctrl-C in a terminal goes to the parent alone, which then ends its children in order.
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdin=PIPE, stdout=PIPE, env=_environment(), start_new_session=True
        )
        return cls(process, work_dir)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def frames(self) -> AsyncIterator[Frame]:
        """What the child says, until it ends; a frame that it died in is left out."""
        with contextlib.suppress(ValueError):
            async for frame in decode_frames(self._output()):
                yield frame

    async def _output(self) -> AsyncIterator[bytes]:
        assert self._process.stdout
        while chunk := await self._process.stdout.read(_READ_BYTES):
            yield chunk

    def send(self, header: dict[str, Any], *payload: bytes | memoryview) -> None:
        """Never waits: at most one request of a bounded size is under way. To a child that has died it does nothing."""
        assert self._process.stdin
        with contextlib.suppress(OSError, RuntimeError):
            self._process.stdin.write(encode_frame(header, *payload))

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def stop(self, grace_s: float) -> None:
        """Asks the child to exit, and kills it if it has not within `grace_s`."""
        self.send({"type": "stop"})
        await self._wait(grace_s)

    async def wait_ended(self) -> str:
        """Waits for the end after the last frame, clears up, and says how the process ended."""
        await self._wait(_EXIT_GRACE_S)
        await asyncio.to_thread(shutil.rmtree, self._work_dir, ignore_errors=True)
        status = self._process.returncode or 0
        return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit code {status}"

    async def _wait(self, grace_s: float) -> None:
        try:
            await asyncio.wait_for(self._process.wait(), grace_s)
        except TimeoutError:
            self.kill()
            await self._process.wait()


def _config(source: ModelSource, settings: Settings, work_dir: Path) -> ChildConfig:
    return ChildConfig(
        id=source.id,
        folder=source.folder,
        revision=source.revision,
        may_run_code=source.id in settings.trust_code,
        work_dir=work_dir,
        cache_limit_bytes=settings.cache_limit_mb << 20,
        log_level=settings.log_level,
    )


def _environment() -> dict[str, str]:
    environment = {"HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}
    if sys.platform == "linux":
        # There MLX compiles C++ at each first call, 1 to 8 s; without g++ it runs uncompiled anyway.
        environment["MLX_DISABLE_COMPILE"] = "1"
    return {**environment, **os.environ}

"""The parent's side of the process of one model. The parent never imports mlx."""

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
"""How long a child may take to exit after it has closed its output."""


class ChildProcess:
    """One process with one model, from its start to its last frame."""

    def __init__(self, process: Process, work_dir: Path) -> None:
        self._process = process
        self._work_dir = work_dir

    @classmethod
    async def start(cls, source: ModelSource, settings: Settings) -> Self:
        """Starts a process for the model, with its own temporary directory."""
        work_dir = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="rapl-mlx-"))
        arguments = ("-m", "rapl_mlx.child.main", _config(source, settings, work_dir).model_dump_json())
        # A new session: Ctrl-C in a terminal reaches only the parent, which then stops its children.
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdin=PIPE, stdout=PIPE, env=_environment(), start_new_session=True
        )
        return cls(process, work_dir)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def frames(self) -> AsyncIterator[Frame]:
        """Yields the frames of the child until it ends. An incomplete last frame is dropped."""
        with contextlib.suppress(ValueError):
            async for frame in decode_frames(self._output()):
                yield frame

    async def _output(self) -> AsyncIterator[bytes]:
        assert self._process.stdout
        while chunk := await self._process.stdout.read(_READ_BYTES):
            yield chunk

    def send(self, header: dict[str, Any], *payload: bytes | memoryview) -> None:
        """Sends a frame without waiting: at most one request, of limited size, is pending. Ignores a dead child."""
        assert self._process.stdin
        with contextlib.suppress(OSError, RuntimeError):
            self._process.stdin.write(encode_frame(header, *payload))

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def stop(self, grace_s: float) -> None:
        """Sends "stop" to the child, and kills it if it has not ended after `grace_s`."""
        self.send({"type": "stop"})
        await self._wait(grace_s)

    async def wait_ended(self) -> str:
        """Waits until the process has ended, removes its temporary directory, and returns how it ended."""
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
        log_format=settings.log_format,
    )


def _environment() -> dict[str, str]:
    environment = {"HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}
    if sys.platform == "linux":
        # On Linux MLX compiles C++ on each first call, which takes 1 to 8 s. Without g++ it runs uncompiled anyway.
        environment["MLX_DISABLE_COMPILE"] = "1"
    return {**environment, **os.environ}

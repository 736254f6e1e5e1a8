"""The child's side of the pipes between a model's process and the parent."""

import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO, NoReturn

from rapl_protocol.frames import Frame, encode_frame

from rapl_mlx.child.contract import ChildConfig


class Wire:
    """Uses stdin and stdout for frames. What libraries print goes to stderr instead."""

    def __init__(self, work_dir: Path) -> None:
        self._work_dir = work_dir
        self._input = os.fdopen(os.dup(0), "rb")
        self._output = os.fdopen(os.dup(1), "wb", buffering=0)
        self._lock = threading.Lock()
        self._requests: SimpleQueue[Frame] = SimpleQueue()
        self.cancelled_job: int | None = None
        """The number of the job that the parent cancelled last."""
        os.dup2(2, 1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        threading.Thread(target=self._read, name="wire", daemon=True).start()

    @classmethod
    def from_command_line(cls) -> tuple["Wire", ChildConfig]:
        config = ChildConfig.model_validate_json(sys.argv[1])
        return cls(config.work_dir), config

    def send(self, header: dict[str, Any]) -> None:
        """Sends a frame, from any thread. Ends the process if the parent is gone."""
        data = memoryview(encode_frame(header))
        with self._lock:
            try:
                while data:
                    data = data[self._output.write(data) :]
            except BrokenPipeError:
                self.exit()

    def next_request(self) -> Frame:
        return self._requests.get()

    def exit(self) -> NoReturn:
        """Ends the process at once, because a running thread of MLX makes a normal exit abort."""
        shutil.rmtree(self._work_dir, ignore_errors=True)
        os._exit(0)

    def _read(self) -> None:
        """Runs in a thread, so that pings, cancellations and "stop" are handled during a transcription."""
        for frame in read_frames(self._input):
            match frame.header:
                case {"type": "stop"}:
                    break
                case {"type": "ping"}:
                    self.send({"type": "pong"})
                case {"type": "cancel", "job": job}:
                    self.cancelled_job = job
                case _:
                    self._requests.put(frame)
        self.exit()


def read_frames(source: BinaryIO) -> Iterator[Frame]:
    """Yields frames until the end of the input. A last frame that is cut off is dropped."""
    while (line := source.readline()).endswith(b"\n"):
        header = json.loads(line)
        size = header.pop("payload_bytes", 0)
        payload = source.read(size)
        if len(payload) == size:
            yield Frame(header, payload)

"""A script of another environment, in a process of its own, that answers lines of JSON."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from rapl_bench.processes import log_tail

_ANSWER = "answer "


class ScriptError(Exception):
    """A script exited before it answered; the message has the end of its output."""


class ScriptProcess:
    """The context ends the script.

    The script prints a line `answer {}` when it is ready. It then reads requests, one line of JSON each, and prints
    for each a line with `answer ` and JSON. Its other lines are ignored: libraries print what they like.
    """

    def __init__(self, command: Sequence[str], log: Path, environ: Mapping[str, str] | None = None) -> None:
        """Starts the script and waits until it is ready. Raises: ScriptError."""
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **(environ or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
            )
        try:
            self._answer()
        except ScriptError:
            self._end()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @property
    def pid(self) -> int:
        return self._process.pid

    def call(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Raises: ScriptError."""
        assert self._process.stdin
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        for line in self._process.stdout:
            if line.startswith(_ANSWER):
                return json.loads(line.removeprefix(_ANSWER))
        raise ScriptError(f"a script exited:\n{log_tail(self._log)}")

    def _end(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()

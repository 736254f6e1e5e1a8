"""Runs `rapl transcribe` as a process."""

import os
import subprocess
import sys
from pathlib import Path

LIMIT_S = 300
MODEL, TEXT = "rapl/selftest", "3 1 4 1 5 9."


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "rapl_cli", "transcribe", "--model", MODEL, *map(str, arguments)]


def rapl(folder: Path, url: str, *arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Runs it in `folder`, with pipes instead of a terminal."""
    return subprocess.run(
        command("--url", url, *arguments),
        cwd=folder,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )


def files_in(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def outputs_in(folder: Path) -> set[str]:
    return {name for name in files_in(folder) if not name.endswith((".wav", ".mp3"))}

"""Help and the version are printed without an environment, and nothing is installed for them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rapl_cli.command_line import GROUPS, main_parser
from services import ROOT

COMMANDS = [name for group in GROUPS.values() for name in group]
TOOLS = ("sh", "dirname", "readlink")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A fresh clone, as far as the command line is concerned, on a machine without uv."""
    root = tmp_path / "clone"
    root.mkdir()
    shutil.copy(ROOT / "rapl", root)
    shutil.copytree(ROOT / "cli", root / "cli", ignore=shutil.ignore_patterns("__pycache__"))
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in TOOLS:
        (tools / tool).symlink_to(shutil.which(tool))
    return root


def add_python(clone: Path, script: str) -> None:
    python = clone.parent / "bin" / "python3"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)


def rapl(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": str(clone.parent / "bin"), "HOME": str(clone.parent)}
    return subprocess.run([clone / "rapl", *arguments], env=environ, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "arguments",
    [(), ("--help",), ("--version",), *((name, "--help") for name in COMMANDS)],
    ids=lambda arguments: " ".join(arguments) or "bare",
)
def test_help_works_in_a_fresh_clone_and_installs_nothing(clone, arguments):
    add_python(clone, f'exec "{sys.base_prefix}/bin/python3" -S "$@"')  # -S: without any installed package
    before = sorted(clone.rglob("*"))

    ended = rapl(clone, *arguments)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.strip()
    assert sorted(clone.rglob("*")) == before


@pytest.mark.parametrize("script", [None, "exit 1"], ids=["no python3", "an older python3"])
def test_a_missing_or_older_python_is_one_clear_line(clone, script):
    if script:
        add_python(clone, script)

    ended = rapl(clone, "--help")

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "rapl: Python 3.11 or newer is needed, as python3\n"


def test_the_help_of_all_commands_fits_a_screen_and_names_each_once():
    lines = main_parser().format_help().splitlines()

    assert len(lines) <= 23  # and the prompt
    assert max(map(len, lines)) <= 80
    for name in COMMANDS:
        assert sum(bool(re.match(rf"^  .{{10}}{name} ", line)) for line in lines) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fly",), "there is no command 'fly'"),
        (("status", "--fast"), "unknown arguments: --fast"),
        (("pull",), "the following arguments are required: MODEL"),
        (("logs", "nothing"), "invalid choice: 'nothing'"),
    ],
)
def test_wrong_use_is_one_line_that_names_the_help(arguments, message):
    ended = subprocess.run([ROOT / "rapl", *arguments], env=os.environ, capture_output=True, text=True, timeout=120)

    assert (ended.returncode, ended.stdout) == (2, "")
    [line] = ended.stderr.splitlines()
    assert line.startswith("rapl: ")
    assert message in line
    assert "--help`" in line


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh"])
def test_completion_prints_a_script_with_every_command(shell):
    ended = subprocess.run([ROOT / "rapl", "completion", shell], capture_output=True, text=True, timeout=120)

    assert ended.returncode == 0, ended.stderr
    assert [name for name in COMMANDS if name not in ended.stdout] == []


@pytest.mark.parametrize(("words", "reply"), [("sta", "status"), ("status --wa", "--watch")])
def test_bash_completes_commands_and_options(words, reply):
    script = subprocess.run([ROOT / "rapl", "completion", "bash"], capture_output=True, text=True, timeout=120).stdout
    call = 'COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _shtab_rapl; echo "${COMPREPLY[@]}"'

    program = f"{script}\nCOMP_WORDS=(rapl {words}); {call}"
    ended = subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=60)

    assert ended.stdout.strip() == reply, ended.stderr

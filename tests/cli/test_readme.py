"""Every command and block of code in the README works as it stands there.

Only the port and the folder of models are others than a reader's.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_hub import LocalHub
from services import ROOT, SAMPLE, free_port
from terminal import Terminal

README = (ROOT / "README.md").read_text()
CHINESE = (ROOT / "README.zh-CN.md").read_text()
OF_THE_CI_RUN = {"./rapl demo", "./rapl test"}
OF_THE_DOCKER_TESTS = {"docker compose up -d"}
TEXT = "3 1 4 1 5 9."


def blocks(language: str, document: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", document, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Every command in the shell blocks, without comments."""
    lines = "".join(blocks("sh")).replace("\\\n", "").splitlines()
    without_comments = (re.sub(r"\s*(^|\s)#.*", "", line).strip() for line in lines)
    return [re.sub(r"\s+", " ", line) for line in without_comments if line]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder that looks like the checkout to the commands, with a recording of the reader's."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "rapl").symlink_to(ROOT / "rapl")
    (folder / "samples").symlink_to(ROOT / "samples")
    shutil.copy(SAMPLE, folder / "talk.m4a")  # what a file is, its content says and not its ending
    return folder


@pytest.fixture(scope="module")
def environ(folder) -> Iterator[dict[str, str]]:
    with LocalHub() as hub:
        hub.add("iic/SenseVoiceSmall", ROOT / "sensevoice-service" / "src" / "rapl_sensevoice" / "selftest_model")
        ports = {name: str(free_port()) for name in ("RAPL_PORT", "RAPL_PREPROCESS_PORT", "RAPL_SENSEVOICE_PORT")}
        yield {**os.environ, **hub.environ, **ports, "RAPL_SENSEVOICE_MODEL_DIR": str(folder / "models")}


@pytest.fixture(scope="module")
def up(folder, environ) -> Iterator[Terminal]:
    """`./rapl up`, in a terminal, after the model was downloaded."""
    with Terminal(["./rapl", "up"], environ=environ, cwd=folder) as terminal:
        terminal.wait_for("rapl: up at")
        yield terminal


def run(command: str, folder: Path, environ: dict[str, str]) -> str:
    """Runs a command of the README, and returns what it prints."""
    command = command.replace("127.0.0.1:8000", f"127.0.0.1:{environ['RAPL_PORT']}")
    shell = ["bash", "-c", command]
    ended = subprocess.run(shell, cwd=folder, env=environ, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, f"{command}\n{ended.stdout}{ended.stderr}"
    return ended.stdout + ended.stderr


OTHERS = [each for each in commands() if each not in OF_THE_CI_RUN | OF_THE_DOCKER_TESTS | {"./rapl up"}]


def test_the_commands_that_other_tests_run_are_in_the_readme():
    ci = (ROOT / ".ci" / "run").read_text()

    assert {*OF_THE_CI_RUN, *OF_THE_DOCKER_TESTS, "./rapl up"} <= set(commands())
    assert all(re.search(rf"^{command}\b", ci, re.MULTILINE) for command in OF_THE_CI_RUN)


@pytest.mark.parametrize("command", sorted(OTHERS, key=lambda each: "pull" not in each))
def test_each_command_works(up, folder, environ, command):
    assert run(command, folder, environ)


def test_the_transcript_of_the_readers_file_lies_beside_it(up, folder, environ):
    run("./rapl transcribe talk.m4a", folder, environ)

    assert (folder / "talk.txt").read_text().strip() == TEXT


def test_the_curl_command_prints_what_its_comment_says(up, folder, environ):
    [block] = [block for block in blocks("sh") if block.startswith("curl")]
    said = block.splitlines()[-1].removeprefix("# ")

    assert said in run(block, folder, environ)


def test_the_python_code_prints_the_transcript(up, folder, environ):
    [code] = blocks("python")
    code = code.replace("127.0.0.1:8000", f"127.0.0.1:{environ['RAPL_PORT']}")

    ended = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)

    assert ended.stdout == f"{TEXT}\n"


@pytest.mark.parametrize("language", ["sh", "python"])
def test_the_chinese_readme_has_the_same_commands(language):
    assert blocks(language, CHINESE) == blocks(language)

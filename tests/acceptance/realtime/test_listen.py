"""`rapl listen` with a file, which is played as fast as it was spoken."""

import os
import subprocess
import sys
import wave
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from services import ROOT, SELFTEST
from spoken_turns import KEY
from terminal import CTRL_C, Terminal

LISTEN = [sys.executable, "-m", "rapl_cli", "listen"]
CLIPBOARD_PROGRAMS = ("xclip", "pbcopy")
COPY = '#!/bin/sh\ncat > "$CLIPBOARD"\n'


@pytest.fixture
def recording(turns_24_khz: list[Path], tmp_path: Path) -> Path:
    """The turns in one file."""
    with wave.open(str(tmp_path / "turns.wav"), "wb") as wav:
        wav.setparams((1, 2, 24_000, 0, "NONE", ""))
        wav.writeframes(b"".join(file.read_bytes() for file in turns_24_khz))
    return tmp_path / "turns.wav"


@pytest.fixture
def environ(secured) -> dict[str, str]:
    """The environment in which the gateway runs, too."""
    return {**os.environ, "RAPL_PORT": str(urlsplit(secured.http).port), "RAPL_API_KEYS": KEY}


def in_terminal(environ: dict[str, str], *arguments: str | Path) -> Terminal:
    return Terminal([*LISTEN, *map(str, arguments)], environ=environ, cwd=ROOT, size=(80, 24))


def test_a_terminal_shows_each_turn_before_the_next_one_ends(environ, recording, model, transcripts):
    with in_terminal(environ, "--file", recording, "--model", model) as terminal:
        shown = terminal.wait_for(transcripts[0])
        code = terminal.ended()

        assert (code, terminal.lines()) == (0, transcripts)
    assert transcripts[2] not in shown


def test_ctrl_c_ends_the_audio_and_keeps_the_text(environ, recording, transcripts_of):
    first, *_, last = transcripts_of(SELFTEST)
    with in_terminal(environ, "--file", recording, "--model", SELFTEST) as terminal:
        terminal.wait_for(first)
        terminal.press(CTRL_C)

        assert terminal.ended() == 0
        assert first in terminal.text()
        assert last not in terminal.text()


def test_the_text_comes_over_tls_and_is_copied_into_the_clipboard(secured, recording, tmp_path, transcripts_of):
    clipboard = tmp_path / "clipboard"
    for name in CLIPBOARD_PROGRAMS:
        (tmp_path / name).write_text(COPY)
        (tmp_path / name).chmod(0o755)
    environ = {
        **os.environ,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "DISPLAY": ":0",
        "CLIPBOARD": str(clipboard),
        "SSL_CERT_FILE": str(secured.authority),
    }
    command = [*LISTEN, "--file", recording, "--copy", "--url", secured.https, "--api-key", KEY, "--model", SELFTEST]

    ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == transcripts_of(SELFTEST)
    assert clipboard.read_text() == ended.stdout.rstrip("\n")


@pytest.mark.parametrize(("key", "model", "reason"), [("wrong", SELFTEST, "API key"), (KEY, "no/such", "no/such")])
def test_the_gateways_reason_for_a_refusal_is_printed(secured, recording, key, model, reason):
    command = [*LISTEN, "--file", recording, "--url", secured.http, "--api-key", key, "--model", model]

    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("rapl: ")
    assert reason in ended.stderr


def test_a_port_that_speaks_only_tls_is_named(secured, recording):
    url = secured.https.replace("https", "http")

    ended = subprocess.run([*LISTEN, "--file", recording, "--url", url], capture_output=True, text=True, timeout=60)

    assert ended.returncode == 1
    assert "it does not speak plain HTTP; is its URL https://?" in ended.stderr

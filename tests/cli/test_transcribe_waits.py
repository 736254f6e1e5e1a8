"""`rapl transcribe` waits once for a model that is coming, and stops once where no file can be transcribed."""

import os
import subprocess
import wave
from pathlib import Path
from typing import Any

import pytest
from rapl_cli.transcription.recordings import find
from scripted_gateway import ScriptedGateway
from terminal import CTRL_C, Terminal
from transcribe_command import command, rapl

READY = {"state": "ready"}
LOADING = {"state": "loading"}
REMEDY = "Delete the file, and start again."
FAILED = {"state": "failed", "reason": "its weights are damaged", "remedy": REMEDY}
MODEL = ("--model", "example/model")


def downloading(done_bytes: int) -> dict[str, Any]:
    return {"state": "downloading", "progress": {"done_bytes": done_bytes, "total_bytes": 1_000_000}}


def in_terminal(folder: Path, url: str, *arguments: str) -> Terminal:
    full = [str(part) for part in command("--url", url, *MODEL, *arguments)]
    return Terminal(full, environ=os.environ, cwd=folder, size=(80, 24))


def test_a_model_that_is_coming_is_waited_for_once(folder):
    states = [downloading(100_000), downloading(900_000), LOADING, READY]
    with ScriptedGateway(*states).serving() as gateway:
        ended = rapl(folder, gateway.url, ".", *MODEL)

    assert ended.returncode == 0
    assert ended.stderr.splitlines() == [
        "rapl: waiting for example/model: downloading",
        "rapl: waiting for example/model: loading",
        "rapl: 2 transcribed",
    ]
    assert gateway.requests == ["GET /v1/models/example/model"] * 4 + ["POST /v1/audio/transcriptions"] * 2


def test_without_a_named_model_the_default_model_is_waited_for(folder):
    arguments = ["--url", "", "one.wav"]
    with ScriptedGateway(LOADING, READY).serving() as gateway:
        arguments[1] = gateway.url
        without_model = [each for each in command(*arguments) if each not in ("--model", "rapl/selftest")]
        ended = subprocess.run(without_model, cwd=folder, capture_output=True, text=True, timeout=60)

    assert ended.stderr == "rapl: waiting for example/model: loading\n"
    assert gateway.requests[:2] == ["GET /health/ready", "GET /v1/models/example/model"]


def test_a_terminal_shows_the_download_and_then_only_the_result(folder):
    gateway = ScriptedGateway(downloading(250_000), downloading(750_000), READY)
    with gateway.serving(), in_terminal(folder, gateway.url, "one.wav", "--stdout") as terminal:
        terminal.ended()

    assert "waiting for example/model: downloading:  25%" in terminal.written
    assert "waiting for example/model: downloading:  75%" in terminal.written
    [text, line] = terminal.lines()
    assert text == "hello"
    assert line.startswith("one.wav  1.0 s of audio in ")


def test_a_download_that_cannot_go_on_is_waited_for_a_while_and_its_problem_is_named(folder):
    problem = "the hub cannot be reached (unknown host name)"
    stalled = downloading(100_000) | {"reason": f"{problem}; next try in 60 s"}
    with ScriptedGateway(stalled).serving() as gateway:
        ended = rapl(folder, gateway.url, "one.wav", *MODEL)

    assert ended.returncode == 1
    [waiting, last] = ended.stderr.splitlines()
    assert waiting == f"rapl: waiting for example/model: downloading ({problem})"
    assert last.startswith("rapl: ")


def test_a_model_that_was_unloaded_is_loaded(folder):
    with ScriptedGateway({"state": "absent"}, LOADING, READY).serving() as gateway:
        ended = rapl(folder, gateway.url, "one.wav", *MODEL)

    assert ended.returncode == 0
    assert gateway.requests[:2] == ["GET /v1/models/example/model", "POST /v1/models/example/model/load"]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (FAILED, f"its weights are damaged. {REMEDY}"),
        ({"state": "absent", "reason": "there are no weights", "remedy": REMEDY}, f"there are no weights. {REMEDY}"),
        ({"state": "unreachable", "reason": "cannot be reached", "remedy": REMEDY}, f"cannot be reached. {REMEDY}"),
        ({"state": "unknown", "reason": "does not exist", "code": "model_not_found"}, "does not exist."),
    ],
    ids=lambda value: value["state"] if isinstance(value, dict) else "",
)
def test_a_model_that_never_will_be_ready_is_one_line_for_all_files(folder, state, message):
    with ScriptedGateway(state).serving() as gateway:
        ended = rapl(folder, gateway.url, ".", *MODEL)

    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [f"rapl: {message}", "rapl: 2 left"]
    assert ended.stdout == ""
    assert gateway.transcriptions() == 1


def test_a_model_that_fails_during_the_batch_ends_it(folder):
    with ScriptedGateway(READY, READY, FAILED).serving() as gateway:
        ended = rapl(folder, gateway.url, ".", *MODEL)

    assert ended.returncode == 1
    assert (folder / "one.txt").exists()
    assert not (folder / "deep" / "TWO.txt").exists()
    assert ended.stderr.splitlines() == [
        f"rapl: its weights are damaged. {REMEDY}",
        "rapl: 1 transcribed, 1 left",
    ]


@pytest.mark.parametrize(("form", "content"), [("txt", "\n"), ("json", '{"text": "", "duration": 1.0}')])
def test_a_file_without_speech_is_named(folder, form, content):
    with ScriptedGateway(READY, text="").serving() as gateway:
        ended = rapl(folder, gateway.url, "one.wav", "--format", form, *MODEL)

    assert ended.returncode == 0
    assert ended.stdout.startswith("one.wav: no speech; 1.0 s of audio in ")
    assert (folder / f"one.{form}").read_text() == content


@pytest.mark.parametrize("form", ["txt", "srt", "vtt"])
def test_silence_is_named_by_the_real_fleet(tmp_path, url, form):
    with wave.open(str(tmp_path / "silence.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 32_000))

    ended = rapl(tmp_path, url, "silence.wav", "--format", form)

    assert ended.returncode == 0
    assert ended.stdout.startswith("silence.wav: no speech; ")


@pytest.mark.parametrize("name", ["memo", "memo.dat", "memo.unheard", "memo.txt"])
def test_a_named_file_is_sent_whatever_its_ending(tmp_path, sample, url, name):
    (tmp_path / name).write_bytes(sample)

    ended = rapl(tmp_path, url, name, "--stdout")

    assert ended.stdout == "3 1 4 1 5 9.\n", ended.stderr


def test_a_transcript_is_no_recording(tmp_path):
    (tmp_path / "memo.txt").write_text("a transcript")

    assert find([str(tmp_path / "memo.txt")]).files == []


def test_a_file_that_vanished_is_one_line_without_its_path(folder):
    with ScriptedGateway(LOADING, LOADING, READY).serving() as gateway:
        arguments = command("--url", gateway.url, *MODEL, ".")
        with subprocess.Popen(arguments, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            first = process.stderr.readline()
            (folder / "one.wav").unlink()
            rest = process.stderr.read()

    assert first == "rapl: waiting for example/model: loading\n"
    assert process.returncode == 1
    assert "one.wav: No such file or directory\n" in rest
    assert "rapl: 1 transcribed, 1 failed" in rest or "rapl: 1 failed, 1 transcribed" in rest


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ([], ["rapl: run the same command again to transcribe the rest"]),
        (["--force"], ["rapl: run the same command again without --force to transcribe the rest"]),
        (["--stdout"], []),
    ],
)
def test_ctrl_c_says_what_is_finished_and_how_to_go_on(folder, options, advice):
    with ScriptedGateway(LOADING).serving() as gateway, in_terminal(folder, gateway.url, ".", *options) as terminal:
        terminal.wait_for("loading")
        terminal.press(CTRL_C)

        assert terminal.ended() == 130
    assert [line for line in terminal.lines() if line != "^C"] == [
        "rapl: interrupted; 0 of 2 files are transcribed",
        *advice,
    ]

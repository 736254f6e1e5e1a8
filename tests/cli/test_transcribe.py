"""`rapl transcribe` with the real fleet: the files that it finds, the transcripts, and the output."""

import json
import os
import pty
import re
import subprocess
import sys
import termios
import threading
from pathlib import Path

import pytest
from services import ServiceProcess, until
from transcribe_command import LIMIT_S, MODEL, TEXT, command, files_in, outputs_in, rapl


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["."], {"one.txt", "deep/TWO.txt"}),
        (["one.wav"], {"one.txt"}),
        (["deep", "./one.wav", "one.wav"], {"one.txt", "deep/TWO.txt"}),
        (["*.wav"], {"one.txt"}),
        (["**/*"], {"one.txt", "deep/TWO.txt"}),
        (["d*"], {"deep/TWO.txt"}),
    ],
)
def test_files_folders_and_globs_select_recordings(folder, url, arguments, expected):
    before = files_in(folder)

    ended = rapl(folder, url, *arguments)

    assert (ended.returncode, files_in(folder) - before) == (0, expected), ended.stderr
    assert {(folder / name).read_text() for name in expected} == {f"{TEXT}\n"}


def test_a_pipe_gets_one_line_for_each_file_with_duration_and_speed(folder, url):
    ended = rapl(folder, url, "one.wav")

    name, _, rest = ended.stdout.partition("  ")
    assert (name, ended.stderr) == ("one.wav", "")
    assert rest.startswith("3.")
    assert " s of audio in " in rest
    assert rest.endswith("x)\n")


@pytest.mark.parametrize(
    ("form", "begin"), [("txt", TEXT), ("srt", "1\n00:00:0"), ("vtt", "WEBVTT\n"), ("json", '{"task":"transcribe"')]
)
def test_the_transcript_has_the_requested_format(folder, url, form, begin):
    ended = rapl(folder, url, "one.wav", "--format", form)

    transcript = (folder / f"one.{form}").read_text()
    assert ended.returncode == 0, ended.stderr
    assert transcript.startswith(begin)
    assert TEXT in transcript


def test_json_is_the_gateways_verbose_json(folder, url):
    rapl(folder, url, "one.wav", "--format", "json")

    answer = json.loads((folder / "one.json").read_text())
    assert answer["text"] == TEXT
    assert answer["duration"] == pytest.approx(answer["segments"][-1]["end"], abs=1)


def test_a_file_with_a_transcript_is_skipped_until_forced_or_changed(folder, proxy):
    first = rapl(folder, proxy.url, "one.wav")
    again = rapl(folder, proxy.url, "one.wav")
    requests_before = proxy.requests
    forced = rapl(folder, proxy.url, "one.wav", "--force")
    written = (folder / "one.txt").stat().st_mtime
    os.utime(folder / "one.wav", (written + 60, written + 60))
    changed = rapl(folder, proxy.url, "one.wav")

    assert [each.returncode for each in (first, again, forced, changed)] == [0] * 4
    assert "skipped: one.txt" in again.stdout
    assert (requests_before, proxy.requests) == (1, 3)


@pytest.mark.parametrize("arguments", [["empty"], ["*.flac"], ["notes.txt"], ["absent"]])
def test_without_a_recording_the_exit_code_is_2(tmp_path, arguments):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("a transcript is not a recording")

    ended = rapl(tmp_path, "http://127.0.0.1:9", *arguments)

    assert ended.returncode == 2
    problem = "no such file" if arguments == ["absent"] else "no audio or video found"
    assert f"{arguments[0]}: {problem}" in ended.stderr


def test_equal_names_in_two_folders_have_separate_outputs(tmp_path, sample, url):
    for name in ("monday", "tuesday"):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "talk.wav").write_bytes(sample)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    below = rapl(tmp_path / "in", url, "monday/talk.wav", "tuesday", "--output-dir", "../out")
    from_outside = rapl(elsewhere, url, tmp_path / "in", "--output-dir", "out")

    assert (below.returncode, from_outside.returncode) == (0, 0), below.stderr + from_outside.stderr
    assert files_in(tmp_path / "out") == {"monday/talk.txt", "tuesday/talk.txt"}
    assert files_in(elsewhere / "out") == {"monday/talk.txt", "tuesday/talk.txt"}


def test_recordings_that_differ_only_in_their_suffix_have_separate_outputs(tmp_path, sample, url):
    for name in ("talk.wav", "Talk.mp3"):
        (tmp_path / name).write_bytes(sample)

    alone = rapl(tmp_path, url, "talk.wav")
    both = rapl(tmp_path, url, ".")

    assert (alone.returncode, both.returncode) == (0, 0)
    assert outputs_in(tmp_path) == {"talk.wav.txt", "Talk.mp3.txt"}


def test_several_jobs_transcribe_every_file_once(tmp_path, sample, proxy):
    for number in range(6):
        (tmp_path / f"{number}.wav").write_bytes(sample)

    ended = rapl(tmp_path, proxy.url, ".", "--jobs", "3")

    assert ended.returncode == 0
    assert outputs_in(tmp_path) == {f"{number}.txt" for number in range(6)}
    assert proxy.requests == 6


def test_stdout_has_only_the_transcripts_and_no_file_is_written(folder, url):
    before = files_in(folder)

    ended = rapl(folder, url, ".", "--stdout")

    assert (ended.returncode, ended.stdout) == (0, f"{TEXT}\n" * 2)
    assert files_in(folder) == before


@pytest.mark.parametrize("arguments", [["--jobs", "0"], ["--stdout", "--jobs", "2"], ["--stdout", "--output-dir", "x"]])
def test_options_that_contradict_each_other_are_refused(folder, url, arguments):
    assert rapl(folder, url, ".", *arguments).returncode == 2


def test_a_key_comes_from_the_option_or_the_environment(folder, fleet, tmp_path):
    gateway = ServiceProcess(
        sys.executable,
        "rapl_gateway",
        "RAPL_PORT",
        tmp_path / "gateway.log",
        RAPL_API_KEYS="sesame",
        RAPL_PREPROCESS_URL=fleet.preprocess.url,
        RAPL_SENSEVOICE_URL=fleet.sensevoice.url,
        RAPL_ROOT=str(tmp_path),
    )
    with gateway:
        without = rapl(folder, gateway.url, ".")
        option = rapl(folder, gateway.url, "one.wav", "--api-key", "sesame")
        environ = rapl(folder, gateway.url, "one.wav", "--force", RAPL_API_KEY="sesame")

    assert (without.returncode, option.returncode, environ.returncode) == (1, 0, 0)
    assert without.stderr.count("the gateway needs an API key") == 1


def test_model_language_and_prompt_are_sent_but_not_the_file_name(folder, proxy):
    proxy.next_answers = [(400, {})]

    rapl(folder, proxy.url, "one.wav", "--language", "en", "--prompt", "only digits")

    for name, value in {"model": MODEL, "language": "en", "prompt": "only digits"}.items():
        assert f'name="{name}"\r\n\r\n{value}\r\n'.encode() in proxy.last_body
    assert b'filename="audio.wav"' in proxy.last_body
    assert b"one" not in proxy.last_body.partition(b"RIFF")[0]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_large_file_is_not_held_in_memory(tmp_path, proxy):
    proxy.forward_limit = 0
    with (tmp_path / "large.wav").open("wb") as large:
        large.truncate(400 << 20)
    with subprocess.Popen(command("--url", proxy.url, "large.wav"), cwd=tmp_path) as process:
        until("the whole file has arrived", lambda: proxy.requests == 1)
        status = Path(f"/proc/{process.pid}/status").read_text()
        process.kill()

    [peak_kib] = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")]
    assert peak_kib < 150 << 10


def test_a_terminal_shows_a_progress_bar_and_then_the_final_line(folder, url):
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 120))
    written = bytearray()

    def read() -> None:
        try:
            while piece := os.read(ours, 65536):
                written.extend(piece)
        except OSError:
            pass  # on Linux: the last writer has closed the terminal

    reader = threading.Thread(target=read)
    reader.start()
    ended = subprocess.run(command("--url", url, "one.wav"), cwd=folder, stdout=theirs, stderr=theirs, timeout=LIMIT_S)
    os.close(theirs)
    reader.join(LIMIT_S)
    os.close(ours)

    text = written.decode()
    assert ended.returncode == 0
    assert "100%|█" in text
    assert "one.wav: sent, being transcribed" in text
    assert text.rpartition("\r\n")[0].endswith("x)")


def test_transcripts_and_empty_folders_among_the_arguments_are_ignored(folder, url):
    (folder / "empty").mkdir()
    first = rapl(folder, url, "one.wav", "empty")

    again = rapl(folder, url, "one.wav", "one.txt", "empty")

    assert (first.returncode, again.returncode) == (0, 0)
    assert again.stderr == ""
    assert (folder / "one.txt").read_text() == f"{TEXT}\n"


def test_a_file_that_breaks_off_is_named_with_the_seconds_that_are_missing(folder, url):
    whole = (folder / "one.wav").read_bytes()
    (folder / "cut.wav").write_bytes(whole[: len(whole) * 2 // 3])

    ended = rapl(folder, url, "cut.wav")

    assert ended.returncode == 0
    assert re.search(r"; 1\.0 s of the file could not be read; 1 place may lack text\n$", ended.stdout)

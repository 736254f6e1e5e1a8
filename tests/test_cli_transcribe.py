"""`rapl transcribe`, as a person types it, against the real fleet."""

import json
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from services import ServiceProcess, free_port, until

LIMIT_S = 300
HANG_UP = 0
MODEL, TEXT = "rapl/selftest", "3 1 4 1 5 9."


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "rapl_cli", "transcribe", "--model", MODEL, *map(str, arguments)]


def rapl(folder: Path, url: str, *arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Runs in `folder`, with pipes instead of a terminal."""
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


class Door(ThreadingHTTPServer):
    """Stands before the gateway: counts what comes, may turn it away or hold it, and lets the rest through."""

    daemon_threads = True

    def __init__(self, gateway_url: str, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Visitor)
        self.gateway_url = gateway_url
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.came = 0
        self.last_body = b""
        self.refusals: list[tuple[int, dict[str, str]]] = []
        """Statuses (or HANG_UP) and headers of the next answers."""
        self.open_for = 1_000_000
        """How many may pass; later ones wait."""
        self.closing = threading.Event()


class _Visitor(BaseHTTPRequestHandler):
    server: Door

    def do_POST(self) -> None:
        door, left, body = self.server, int(self.headers["content-length"]), bytearray()
        while left and (piece := self.rfile.read(min(left, 1 << 20))):
            left -= len(piece)
            body += piece if len(body) < 1 << 24 else b""
        door.last_body = bytes(body)
        door.came += 1
        if door.refusals:
            status, headers = door.refusals.pop(0)
            if status == HANG_UP:
                self.close_connection = True
                return None
            return self._answer(status, headers, b'{"error": {"message": "The model is being loaded."}}')
        if door.came > door.open_for:
            door.closing.wait(LIMIT_S)
            return None
        headers = {"content-type": self.headers["content-type"]}
        passed = httpx.post(door.gateway_url + self.path, content=bytes(body), headers=headers, timeout=LIMIT_S)
        return self._answer(passed.status_code, {"content-type": passed.headers["content-type"]}, passed.content)

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url(fleet) -> str:
    return fleet.gateway.url


@pytest.fixture
def door(url) -> Iterator[Door]:
    with Door(url) as door:
        serving = threading.Thread(target=door.serve_forever)
        serving.start()
        yield door
        door.closing.set()
        door.shutdown()
        serving.join()


@pytest.fixture
def folder(tmp_path, sample) -> Path:
    """Two recordings, and something else."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "one.wav").write_bytes(sample)
    (tmp_path / "deep" / "TWO.WAV").write_bytes(sample)
    (tmp_path / "deep" / "notes.md").write_text("no audio")
    (tmp_path / "deep" / "._one.wav").write_text("what macOS keeps beside a file on a foreign disk")
    return tmp_path


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
def test_files_folders_and_globs_name_recordings(folder, url, arguments, expected):
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
def test_the_transcript_has_the_wanted_format(folder, url, form, begin):
    ended = rapl(folder, url, "one.wav", "--format", form)

    transcript = (folder / f"one.{form}").read_text()
    assert ended.returncode == 0, ended.stderr
    assert transcript.startswith(begin)
    assert TEXT in transcript


def test_json_is_the_verbose_answer_as_the_gateway_gave_it(folder, url):
    rapl(folder, url, "one.wav", "--format", "json")

    answer = json.loads((folder / "one.json").read_text())
    assert answer["text"] == TEXT
    assert answer["duration"] == pytest.approx(answer["segments"][-1]["end"], abs=1)


def test_what_is_done_is_skipped_until_it_is_forced_or_the_recording_changes(folder, door):
    first = rapl(folder, door.url, "one.wav")
    again = rapl(folder, door.url, "one.wav")
    came_once = door.came
    forced = rapl(folder, door.url, "one.wav", "--force")
    written = (folder / "one.txt").stat().st_mtime
    os.utime(folder / "one.wav", (written + 60, written + 60))
    changed = rapl(folder, door.url, "one.wav")

    assert [each.returncode for each in (first, again, forced, changed)] == [0] * 4
    assert "skipped: one.txt" in again.stdout
    assert (came_once, door.came) == (1, 3)


def test_a_killed_run_goes_on_where_it_was_without_doing_a_finished_file_again(tmp_path, sample, door):
    for name in "abc":
        (tmp_path / f"{name}.wav").write_bytes(sample)
    door.open_for = 1
    with subprocess.Popen(command("--url", door.url, "."), cwd=tmp_path, stdout=subprocess.DEVNULL) as killed:
        until("the second file has come", lambda: door.came == 2)
        killed.kill()
    left = outputs_in(tmp_path)
    first = (tmp_path / "a.txt").stat()
    (tmp_path / ".rapl-0011223344556677.part").write_text("hal")
    door.open_for = 1_000_000

    ended = rapl(tmp_path, door.url, ".")

    assert left == {"a.txt"}
    assert ended.returncode == 0
    assert door.came == 4
    assert (tmp_path / "a.txt").stat() == first
    assert {(tmp_path / f"{name}.txt").read_text() for name in "abc"} == {f"{TEXT}\n"}


def test_a_file_that_cannot_be_decoded_does_not_stop_the_others(tmp_path, sample, url):
    (tmp_path / "a.wav").write_bytes(sample)
    (tmp_path / "b.wav").write_text("this is no audio")
    (tmp_path / "c.wav").write_bytes(sample)

    ended = rapl(tmp_path, url, ".")

    assert ended.returncode == 1
    assert outputs_in(tmp_path) == {"a.txt", "c.txt"}
    assert "b.wav: The audio file could not be decoded" in ended.stderr
    assert "2 transcribed, 1 failed" in ended.stderr


def test_a_file_that_is_not_there_does_not_stop_the_others(folder, url):
    ended = rapl(folder, url, "absent.wav", "one.wav")

    assert ended.returncode == 1
    assert "absent.wav: no audio or video found" in ended.stderr
    assert outputs_in(folder) >= {"one.txt"}


def test_a_gateway_out_of_reach_is_one_clear_line_however_many_files_there_are(folder):
    ended = rapl(folder, f"http://127.0.0.1:{free_port()}", ".")

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.count("cannot be reached") == 1
    assert "2 left" in ended.stderr


@pytest.mark.parametrize("arguments", [["empty"], ["*.flac"], ["notes.txt"], ["absent"]])
def test_nothing_found_is_exit_code_2_and_says_so(tmp_path, arguments):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("a transcript is no recording")

    ended = rapl(tmp_path, "http://127.0.0.1:9", *arguments)

    assert ended.returncode == 2
    assert f"{arguments[0]}: no audio or video found" in ended.stderr


def test_equal_names_in_two_folders_stay_apart_under_the_output_folder(tmp_path, sample, url):
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


def test_two_recordings_that_differ_in_their_suffix_only_do_not_overwrite_each_other(tmp_path, sample, url):
    for name in ("talk.wav", "Talk.mp3"):
        (tmp_path / name).write_bytes(sample)

    alone = rapl(tmp_path, url, "talk.wav")
    both = rapl(tmp_path, url, ".")

    assert (alone.returncode, both.returncode) == (0, 0)
    assert outputs_in(tmp_path) == {"talk.wav.txt", "Talk.mp3.txt"}


def test_a_transcript_that_cannot_be_written_leaves_nothing_half_written(folder, url):
    (folder / "one.txt").mkdir()
    os.utime(folder / "one.txt", (0, 0))
    before = files_in(folder)

    ended = rapl(folder, url, "one.wav")

    assert ended.returncode == 1
    assert ended.stderr.startswith("one.wav: ")
    assert files_in(folder) == before


def test_no_moment_shows_half_a_transcript(folder, url):
    """A result is another file than the one before it, never the same one filled anew."""
    (folder / "one.txt").write_text("older")
    os.utime(folder / "one.txt", (0, 0))
    os.link(folder / "one.txt", folder / "seen.txt")

    rapl(folder, url, "one.wav")

    assert (folder / "seen.txt").read_text() == "older"
    assert (folder / "one.txt").read_text() == f"{TEXT}\n"


@pytest.mark.parametrize("status", [429, 503])
def test_a_gateway_that_says_when_to_come_again_is_waited_for(folder, door, status):
    door.refusals = [(status, {"retry-after": "1"})] * 2

    ended = rapl(folder, door.url, "one.wav")

    assert ended.returncode == 0
    assert door.came == 3
    assert "one.wav: The model is being loaded; trying again in 2 s (1 of 5)" in ended.stderr


def test_a_lost_connection_is_tried_again(folder, door):
    door.refusals = [(HANG_UP, {})]

    ended = rapl(folder, door.url, "one.wav")

    assert (ended.returncode, door.came) == (0, 2)
    assert "one.wav: the connection to the gateway was lost" in ended.stderr


def test_a_gateway_that_goes_away_for_a_moment_is_waited_for(folder, url, door):
    door.open_for = 1
    arguments = command("--url", door.url, ".")
    with subprocess.Popen(arguments, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        until("the second file has come", lambda: door.came == 2)
        door.shutdown()
        door.server_close()
        door.closing.set()
        assert process.stderr is not None
        said = [process.stderr.readline() for _ in range(2)]
        with Door(url, door.server_port) as back:
            serving = threading.Thread(target=back.serve_forever)
            serving.start()
            process.communicate(timeout=LIMIT_S)
            back.shutdown()
            serving.join()

    assert process.returncode == 0
    assert "was lost" in said[0]
    assert "cannot be reached" in said[1]
    assert outputs_in(folder) >= {"one.txt", "deep/TWO.txt"}


@pytest.mark.parametrize(("status", "headers"), [(400, {"retry-after": "1"}), (429, {}), (503, {})])
def test_other_refusals_are_not_tried_again(folder, door, status, headers):
    door.refusals = [(status, headers)] * 2

    ended = rapl(folder, door.url, "one.wav")

    assert (ended.returncode, door.came) == (1, 1)
    assert ended.stderr == "one.wav: The model is being loaded.\n"


def heeds_ctrl_c() -> None:
    """A program that was begun in the background by a shell, as these tests may be, is deaf to it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_ctrl_c_ends_at_once_with_130_and_leaves_nothing_behind(folder, door):
    before = files_in(folder)
    door.open_for = 0
    with subprocess.Popen(
        command("--url", door.url, ".", "--jobs", "2"),
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heeds_ctrl_c,
    ) as process:
        until("both files have come", lambda: door.came == 2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)

    assert process.returncode == 130
    assert "Traceback" not in said
    assert files_in(folder) == before


def test_several_jobs_do_every_file_once(tmp_path, sample, door):
    for number in range(6):
        (tmp_path / f"{number}.wav").write_bytes(sample)

    ended = rapl(tmp_path, door.url, ".", "--jobs", "3")

    assert ended.returncode == 0
    assert outputs_in(tmp_path) == {f"{number}.txt" for number in range(6)}
    assert door.came == 6


def test_stdout_gets_the_transcripts_alone_and_no_file_is_written(folder, url):
    before = files_in(folder)

    ended = rapl(folder, url, ".", "--stdout")

    assert (ended.returncode, ended.stdout) == (0, f"{TEXT}\n" * 2)
    assert files_in(folder) == before


def test_a_reader_of_stdout_that_goes_away_ends_the_run(folder, door):
    door.open_for = 1
    with subprocess.Popen(
        command("--url", door.url, ".", "--stdout"), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, said = process.communicate(timeout=60)

    assert (process.returncode, door.came) == (1, 1)
    assert said.decode().startswith("rapl: nobody reads the transcripts any more\n")


@pytest.mark.parametrize("arguments", [["--jobs", "0"], ["--stdout", "--jobs", "2"], ["--stdout", "--output-dir", "x"]])
def test_options_that_make_no_sense_are_refused(folder, url, arguments):
    assert rapl(folder, url, ".", *arguments).returncode == 2


def test_a_key_comes_from_the_option_or_the_environment(folder, fleet, tmp_path):
    closed = ServiceProcess(
        sys.executable,
        "rapl_gateway",
        "RAPL_PORT",
        tmp_path / "gateway.log",
        RAPL_API_KEYS="sesame",
        RAPL_PREPROCESS_URL=fleet.preprocess.url,
        RAPL_SENSEVOICE_URL=fleet.sensevoice.url,
        RAPL_CONFIG=str(tmp_path / "no-rapl.toml"),
    )
    with closed:
        without = rapl(folder, closed.url, ".")
        option = rapl(folder, closed.url, "one.wav", "--api-key", "sesame")
        environ = rapl(folder, closed.url, "one.wav", "--force", RAPL_API_KEY="sesame")

    assert (without.returncode, option.returncode, environ.returncode) == (1, 0, 0)
    assert without.stderr.count("Incorrect API key") == 1


def test_model_language_and_prompt_are_passed_on_but_not_the_files_name(folder, door):
    door.refusals = [(400, {})]

    rapl(folder, door.url, "one.wav", "--language", "en", "--prompt", "only digits")

    for name, value in {"model": MODEL, "language": "en", "prompt": "only digits"}.items():
        assert f'name="{name}"\r\n\r\n{value}\r\n'.encode() in door.last_body
    assert b'filename="audio.wav"' in door.last_body
    assert b"one" not in door.last_body.partition(b"RIFF")[0]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_large_file_is_never_held_in_memory(tmp_path, door):
    door.open_for = 0
    with (tmp_path / "large.wav").open("wb") as large:
        large.truncate(400 << 20)
    with subprocess.Popen(command("--url", door.url, "large.wav"), cwd=tmp_path) as process:
        until("all of it has come", lambda: door.came == 1)
        status = Path(f"/proc/{process.pid}/status").read_text()
        process.kill()

    [peak_kib] = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")]
    assert peak_kib < 150 << 10


def test_a_terminal_shows_a_bar_while_it_is_sent_and_then_the_line_that_remains(folder, url):
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 120))
    written = bytearray()

    def read() -> None:
        try:
            while piece := os.read(ours, 65536):
                written.extend(piece)
        except OSError:
            pass  # how a terminal says on Linux that its last writer has gone

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


def test_what_a_shell_names_besides_recordings_is_passed_over(folder, url):
    (folder / "empty").mkdir()
    first = rapl(folder, url, "one.wav", "empty")

    again = rapl(folder, url, "one.wav", "one.txt", "empty")

    assert (first.returncode, again.returncode) == (0, 0)
    assert again.stderr == ""
    assert (folder / "one.txt").read_text() == f"{TEXT}\n"

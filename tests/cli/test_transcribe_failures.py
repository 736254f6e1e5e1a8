"""`rapl transcribe` when something fails: finished transcripts stay, and other files are still tried or reported."""

import os
import signal
import subprocess

import pytest
from intercepting_proxy import HANG_UP, InterceptingProxy
from launcher import in_foreground
from services import free_port, until
from transcribe_command import LIMIT_S, TEXT, command, files_in, outputs_in, rapl


def test_after_a_killed_run_the_next_run_transcribes_the_rest_only(tmp_path, sample, proxy):
    for name in "abc":
        (tmp_path / f"{name}.wav").write_bytes(sample)
    proxy.forward_limit = 1
    with subprocess.Popen(command("--url", proxy.url, "."), cwd=tmp_path, stdout=subprocess.DEVNULL) as killed:
        until("the second file has arrived", lambda: proxy.requests == 2)
        killed.kill()
    left = outputs_in(tmp_path)
    first = (tmp_path / "a.txt").stat()
    (tmp_path / ".rapl-0011223344556677.part").write_text("hal")
    proxy.forward_limit = 1_000_000

    ended = rapl(tmp_path, proxy.url, ".")

    assert left == {"a.txt"}
    assert ended.returncode == 0
    assert proxy.requests == 4
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


def test_a_missing_file_does_not_stop_the_others(folder, url):
    ended = rapl(folder, url, "absent.wav", "one.wav")

    assert ended.returncode == 1
    assert "absent.wav: no such file" in ended.stderr
    assert outputs_in(folder) >= {"one.txt"}


def test_an_unreachable_gateway_is_one_line_for_all_files(folder):
    ended = rapl(folder, f"http://127.0.0.1:{free_port()}", ".")

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.count("cannot be reached") == 1
    assert "2 left" in ended.stderr


def test_a_transcript_that_cannot_be_written_leaves_no_partial_file(folder, url):
    (folder / "one.txt").mkdir()
    os.utime(folder / "one.txt", (0, 0))
    before = files_in(folder)

    ended = rapl(folder, url, "one.wav")

    assert ended.returncode == 1
    assert ended.stderr.startswith("one.wav: ")
    assert files_in(folder) == before


def test_a_transcript_is_replaced_and_never_overwritten_in_place(folder, url):
    (folder / "one.txt").write_text("older")
    os.utime(folder / "one.txt", (0, 0))
    os.link(folder / "one.txt", folder / "seen.txt")

    rapl(folder, url, "one.wav")

    assert (folder / "seen.txt").read_text() == "older"
    assert (folder / "one.txt").read_text() == f"{TEXT}\n"


@pytest.mark.parametrize("status", [429, 503])
def test_an_answer_with_retry_after_is_retried(folder, proxy, status):
    proxy.next_answers = [(status, {"retry-after": "1"})] * 2

    ended = rapl(folder, proxy.url, "one.wav")

    assert ended.returncode == 0
    assert proxy.requests == 3
    assert "one.wav: The model is being loaded; retrying in 2 s (1 of 5)" in ended.stderr


def test_a_lost_connection_is_retried(folder, proxy):
    proxy.next_answers = [(HANG_UP, {})]

    ended = rapl(folder, proxy.url, "one.wav")

    assert (ended.returncode, proxy.requests) == (0, 2)
    assert "one.wav: the connection to the gateway was lost" in ended.stderr


def test_a_gateway_that_restarts_is_waited_for(folder, url, proxy):
    proxy.forward_limit = 1
    arguments = command("--url", proxy.url, ".")
    with subprocess.Popen(arguments, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        until("the second file has arrived", lambda: proxy.requests == 2)
        proxy.shutdown()
        proxy.server_close()
        proxy.closing.set()
        assert process.stderr is not None
        lines = [process.stderr.readline() for _ in range(2)]
        with InterceptingProxy(url, proxy.server_port) as restarted, restarted.serving():
            process.communicate(timeout=LIMIT_S)

    assert process.returncode == 0
    assert "was lost" in lines[0]
    assert "cannot be reached" in lines[1]
    assert outputs_in(folder) >= {"one.txt", "deep/TWO.txt"}


@pytest.mark.parametrize(("status", "headers"), [(400, {"retry-after": "1"}), (429, {}), (503, {})])
def test_other_errors_are_not_retried(folder, proxy, status, headers):
    proxy.next_answers = [(status, headers)] * 2

    ended = rapl(folder, proxy.url, "one.wav")

    assert (ended.returncode, proxy.requests) == (1, 1)
    assert ended.stderr == "one.wav: The model is being loaded.\n"


def test_ctrl_c_exits_at_once_with_130_and_leaves_no_files(folder, proxy):
    before = files_in(folder)
    proxy.forward_limit = 0
    transcribe = in_foreground(command("--url", proxy.url, ".", "--jobs", "2"))
    with subprocess.Popen(transcribe, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        until("both files have arrived", lambda: proxy.requests == 2)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)

    assert process.returncode == 130
    assert "Traceback" not in errors
    assert files_in(folder) == before


def test_a_closed_stdout_ends_the_run(folder, proxy):
    proxy.forward_limit = 1
    with subprocess.Popen(
        command("--url", proxy.url, ".", "--stdout"), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, errors = process.communicate(timeout=60)

    assert (process.returncode, proxy.requests) == (1, 1)
    assert errors.decode().startswith("rapl: the reader of standard output has closed it\n")

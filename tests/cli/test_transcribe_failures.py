"""`rapl transcribe` where something goes wrong: what is done stays, and the rest is done or named."""

import os
import signal
import subprocess
import threading

import pytest
from intercepting_proxy import HANG_UP, Door
from services import free_port, until
from transcribe_command import LIMIT_S, TEXT, command, files_in, outputs_in, rapl


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

"""The requests of other servers' clients, with real services. The gateway's tests have the answers in detail."""

import json
import subprocess

import pytest
import requests
from services import SAMPLE
from subtitle_checker import broken_rules, cues_in

DIGITS = ["3", "1", "4", "1", "5", "9"]


@pytest.mark.parametrize("repeats", [1, 15])
def test_bazarr_gets_subtitles_of_raw_audio_short_and_long(selftest_gateway, sample_pcm, repeats):
    answer = requests.post(
        f"{selftest_gateway.url}/asr",
        params={"task": "transcribe", "language": "en", "output": "srt", "encode": "false"},
        files={"audio_file": sample_pcm * repeats},
        timeout=(10, 300),
    )

    cues = cues_in(answer.content.decode())
    assert list(broken_rules(cues)) == []
    assert [word.strip(".") for cue in cues for line in cue.lines for word in line.split()] == DIGITS * repeats


def test_bazarr_detects_the_language(selftest_gateway, sample_pcm):
    answer = requests.post(
        f"{selftest_gateway.url}/detect-language",
        params={"encode": "false"},
        files={"audio_file": sample_pcm * 15},
        timeout=(10, 300),
    )

    body = answer.json()
    assert (body["detected_language"], body["language_code"]) == ("english", "en")


def test_whisper_cpps_curl_command_gets_the_text(selftest_gateway):
    command = [
        "curl", "-sS", f"{selftest_gateway.url}/inference", "-H", "Content-Type: multipart/form-data",
        "-F", f"file=@{SAMPLE}", "-F", "temperature=0.0", "-F", "temperature_inc=0.2", "-F", "response_format=json",
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert json.loads(ended.stdout) == {"text": "3 1 4 1 5 9."}

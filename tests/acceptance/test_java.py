"""Java's HttpClient, which offers HTTP/2 with the first request of each connection."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from services import SAMPLE

PROGRAM = Path(__file__).parent / "clients" / "Transcribe.java"

pytestmark = pytest.mark.skipif(
    shutil.which("javac") is None, reason="there is no JDK; on Debian: apt-get install openjdk-17-jdk-headless"
)


def test_javas_http_client_gets_the_text_with_its_first_and_its_second_request(fleet, model, words):
    endpoint = f"{fleet.gateway.url}/v1/audio/transcriptions"

    command = ["java", PROGRAM, endpoint, SAMPLE, model]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)

    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert [line[:4] for line in lines] == ["200 ", "200 "], lines
    assert [json.loads(line[4:])["text"] for line in lines] == [words, words]

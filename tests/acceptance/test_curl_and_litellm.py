"""curl and litellm's SDK, both unmodified."""

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest
from services import SAMPLE

CLIENTS = Path(__file__).parent / "clients"


def curl(*arguments: str | Path) -> str:
    ended = subprocess.run(["curl", "-sS", *arguments], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize(
    "base",
    ["", "/v1", "/v1/v1", "/rapl", "/rapl/v1"],
)
def test_curl_reaches_the_endpoint_with_any_base_url(fleet, model, words, base):
    answer = curl(f"{fleet.gateway.url}{base}/audio/transcriptions", "-F", f"file=@{SAMPLE}", "-F", f"model={model}")

    assert json.loads(answer)["text"] == words


def test_curl_may_send_the_model_after_the_file_without_a_length_and_with_a_quoted_boundary(fleet, model, words):
    answer = curl(
        f"{fleet.gateway.url}/v1/audio/transcriptions",
        "-H", "Transfer-Encoding: chunked",
        "-F", f"file=@{SAMPLE};type=application/x-nonsense;filename=",
        "-F", f"model={model}",
        "-F", "response_format=text",
    )  # fmt: skip

    assert answer == f"{words}\n"


def test_curl_may_offer_http2(fleet, model, words):
    answer = curl(
        f"{fleet.gateway.url}/v1/audio/transcriptions", "--http2", "-F", f"file=@{SAMPLE}", "-F", f"model={model}"
    )

    assert json.loads(answer)["text"] == words


def test_the_next_upload_works_after_an_aborted_one(fleet, model, words):
    head = "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    head += "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    body = '5c\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF'
    with socket.create_connection(("127.0.0.1", fleet.gateway.port)) as connection:
        connection.sendall((head + body).encode())

    answer = curl(f"{fleet.gateway.url}/v1/audio/transcriptions", "-F", f"file=@{SAMPLE}", "-F", f"model={model}")
    assert json.loads(answer)["text"] == words


def test_litellm_gets_the_text_in_its_formats(fleet, model, words):
    uv = os.environ.get("UV", "uv")
    # In an environment of its own: litellm requires an older OpenAI SDK.
    command = [uv, "run", "--quiet", "--isolated", "--no-project", "--with", "litellm==1.106.0", "litellm_client.py"]
    ended = subprocess.run(
        [*command, f"{fleet.gateway.url}/v1", SAMPLE, model],
        cwd=CLIENTS,
        env={**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ended.returncode == 0, ended.stderr

    result = json.loads(ended.stdout.splitlines()[-1])
    assert (result["default"], result["text"].strip(), result["verbose"]["text"]) == (words, words, words)
    assert result["verbose"]["language"] == "english"

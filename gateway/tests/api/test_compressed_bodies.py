"""A compressed request is refused in words, and its body is not taken for a form."""

import gzip
import zlib

import pytest

BODY = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--b--\r\n'


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(BODY, mtime=0)),
        ("x-gzip", gzip.compress(BODY, mtime=0)),
        ("deflate", zlib.compress(BODY)),
        ("br", b"\x8b\x00\x80"),
        ("zstd", b"\x28\xb5\x2f\xfd"),
        ("identity, GZIP", gzip.compress(BODY, mtime=0)),
        ("gzip", gzip.compress(bytes(100 << 20), mtime=0)),
    ],
)
async def test_it_is_a_415_that_says_what_to_do(fleet, coding, body):
    headers = {"content-type": "multipart/form-data; boundary=b", "content-encoding": coding}
    answer = await fleet.http.post("/v1/audio/transcriptions", content=body, headers=headers)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (415, "unsupported_encoding")
    assert "without Content-Encoding" in error["message"]
    assert answer.headers["accept-encoding"] == "identity"


async def test_so_is_compressed_json(fleet):
    headers = {"content-type": "application/json", "content-encoding": "gzip"}

    answer = await fleet.http.post("/v1/audio/transcriptions", content=gzip.compress(b"{}"), headers=headers)

    assert answer.status_code == 415


@pytest.mark.parametrize("coding", ["identity", "", "Identity"])
async def test_a_body_that_is_called_uncompressed_is_read(fleet, coding):
    files = {"file": fleet.speech.to_wav()}

    answer = await fleet.http.post("/v1/audio/transcriptions", headers={"content-encoding": coding}, files=files)

    assert answer.status_code == 200

"""Attack: clients that occupy connections, memory or disk by sending slowly, endlessly or too much."""

import asyncio
import os

import pytest
from raw_http import BOUNDARY, answer_of, form, get, post

MAX_UPLOAD_BYTES = 1 << 20


@pytest.fixture
def short_deadlines(monkeypatch):
    """Shortens the deadlines and changes nothing else."""
    monkeypatch.setattr("rapl_service.http.connection.HEADERS_S", 0.5)
    monkeypatch.setattr("rapl_service.http.body.BODY_GRACE_S", 0.5)
    monkeypatch.setattr("rapl_service.http.body.LEAST_BYTES_PER_S", 1e9)


async def send_slowly(writer: asyncio.StreamWriter, piece: bytes) -> None:
    while True:
        writer.write(piece)
        await asyncio.sleep(0.05)


async def status_of_sending_slowly(target, start: bytes, piece: bytes) -> int:
    reader, writer = await target.connect()
    writer.write(start)
    sending = asyncio.create_task(send_slowly(writer, piece))
    try:
        return (await answer_of(reader))[0]
    finally:
        sending.cancel()
        writer.close()


async def test_slowloris_a_silent_connection_is_closed(short_deadlines, target):
    assert (await target.send())[0] == 400


async def test_slowloris_endless_headers_are_a_400(short_deadlines, target):
    assert await status_of_sending_slowly(target, b"GET /v1/models HTTP/1.1\r\nhost: a\r\n", b"x-more: 1\r\n") == 400


async def test_slowloris_on_a_reused_connection_is_a_400(short_deadlines, target):
    reader, writer = await target.connect()
    writer.write(get("/health/live"))
    assert (await answer_of(reader))[0] == 200
    writer.write(b"GET / HT")

    assert (await answer_of(reader))[0] == 400
    assert await reader.read() == b""
    writer.close()


async def test_slowloris_a_slow_body_is_a_400(short_deadlines, target):
    body = form()
    request = post(body)

    assert await status_of_sending_slowly(target, request[: -len(body)], b"-") == 400


async def test_slowloris_hundreds_of_idle_connections_do_not_delay_another_client(target):
    held = [await target.connect() for _ in range(300)]
    for _, writer in held:
        writer.write(b"POST /v1/audio/transcriptions HTTP/1.1\r\n")

    assert (await target.send(post(form())))[0] == 200
    for _, writer in held:
        writer.close()


@pytest.mark.parametrize(
    "headers",
    [[f"x-{n}: 1" for n in range(200)], [f"x-large: {'a' * 70_000}"], [f"cookie: {'b' * 1000}"] * 100],
    ids=["many", "one large", "large together"],
)
async def test_header_bomb_too_many_or_too_large_headers_are_refused(target, headers):
    assert (await target.send(get("/health/live", *headers)))[0] == 400


async def test_header_bomb_an_endless_header_is_refused_before_the_deadline(target):
    reader, writer = await target.connect()
    writer.write(b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"a" * (1 << 20))

    assert (await answer_of(reader, limit_s=10))[0] in (400, 0)
    writer.close()


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


async def test_oversized_chunked_body_is_a_413_and_leaves_nothing_behind(attack, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    target = await attack(max_upload_bytes=MAX_UPLOAD_BYTES)
    head = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'.encode()
    pieces = [chunked(b"a" * (1 << 18)) for _ in range(12)]
    request = post(b"", "transfer-encoding: chunked", sized=False)
    status, answer = await target.send(request, chunked(head), *pieces, b"0\r\n\r\n")

    assert (status, b'"audio_too_large"' in answer) == (413, True)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("size", [b"zz", b"-1", b"ffffffffffffffffff", b"0x10", b"1;" + b"e" * 70_000])
async def test_oversized_chunked_body_an_invalid_size_is_a_400(target, size):
    request = post(b"", "transfer-encoding: chunked", sized=False)

    assert (await target.send(request, size + b"\r\n" + b"a" * 64 + b"\r\n"))[0] == 400

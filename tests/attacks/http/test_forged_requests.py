"""Attack: requests that try to inject into headers, file names, logs or the engine."""

import asyncio
import json
import logging

import pytest
from raw_http import BOUNDARY, form, get, post

FILE_NAMES = [
    "../../../../tmp/rapl-was-here",
    "/tmp/rapl-was-here",
    "..\\..\\rapl",
    "a\x00b",
    "%2e%2e%2frapl",
    "C:\\rapl",
]
WORDS_OF_A_LINE = ["request_id", "method", "path", "status", "took_s", "error"]


@pytest.mark.parametrize("name", FILE_NAMES)
async def test_path_traversal_in_the_file_name_opens_no_file(target, name, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    opened = []
    monkeypatch.setattr(
        "builtins.open", lambda path, *rest, real=open, **more: opened.append(path) or real(path, *rest)
    )
    status, answer = await target.send(post(form(file_name=name)))

    assert status in (200, 400)
    assert not [path for path in opened if "rapl" in str(path)]
    assert list(tmp_path.iterdir()) == []
    assert b"rapl" not in answer
    assert "rapl-was-here" not in caplog.text


@pytest.mark.parametrize(
    "headers",
    [
        ["transfer-encoding: chunked"],
        ["transfer-encoding: xchunked"],
        ["transfer-encoding: chunked, identity"],
        ["Transfer-Encoding : chunked"],
        ["content-length: 5"],
        ["content-length: +5"],
        ["content-length: 1_0"],
    ],
)
async def test_header_smuggling_a_body_with_two_lengths_is_refused(target, headers):
    status, answer = await target.send(post(form(), *headers))

    assert status == 400
    assert b'"invalid_request"' in answer
    assert target.engine.calls == []


async def test_a_body_that_is_compressed_for_the_transfer_is_refused(target):
    body = b"5\r\nabcde\r\n0\r\n\r\n"
    status, answer = await target.send(post(body, "transfer-encoding: gzip, chunked", sized=False))

    assert (status, b'"unsupported_encoding"' in answer) == (415, True)
    assert target.engine.calls == []


@pytest.mark.parametrize("second", [b"host: evil.example\r\n", b"host: 127.0.0.1\r\n"])
async def test_header_smuggling_two_hosts_are_refused(target, second):
    request = get("/v1/models").replace(b"\r\n\r\n", b"\r\n" + second + b"\r\n")

    assert (await target.send(request))[0] == 400


@pytest.mark.parametrize("end", [b"\r", b"\x00", b"\r\r\n", b"\x7f\x00"])
async def test_header_smuggling_a_malformed_line_end_is_refused_or_stays_one_header(target, end):
    status, answer = await target.send(
        b"GET /health/live HTTP/1.1\r\nhost: a\r\nx: 1" + end + b"x-request-id: evil\r\n\r\n"
    )

    assert status in (400, 403)
    assert b"evil" not in answer


@pytest.mark.parametrize("forged", ["a b", "a\tb", "é", "x" * 129])
async def test_forged_request_id_with_unsafe_characters_is_replaced(target, forged):
    _, answer = await target.send(get("/health/live", f"x-request-id: {forged}"))

    [line] = [line for line in answer.split(b"\r\n") if line.startswith(b"x-request-id")]
    assert line.startswith(b"x-request-id: req_") or line == b"x-request-id: "


@pytest.mark.parametrize("field", ["model", "language", "prompt", "response_format"])
async def test_header_smuggling_line_breaks_in_a_field_reach_no_header_and_no_log_line(target, field, caplog):
    caplog.set_level(logging.DEBUG)
    injected = "mlx-community/a\r\nx-injected: 1\r\n\r\nGET /evil HTTP/1.1"
    status, answer = await target.send(post(form(**{field: injected})))

    assert status in (200, 400, 404)
    assert b"\r\nx-injected" not in answer
    assert not [line for line in caplog.text.splitlines() if line.startswith(("x-injected", "GET /evil"))]


@pytest.mark.parametrize(
    "path", ["/v1/%0aINFO%20forged", "/v1/models/%0d%0ax-injected:%201", "/%00", "/v1/a%20status=200"]
)
async def test_log_forging_a_path_stays_one_word_of_one_line(target, path, caplog):
    caplog.set_level(logging.DEBUG, logger="rapl")
    status, _ = await target.send(get(path))

    assert status == 404
    [line] = [record.getMessage() for record in caplog.records if "status=404" in record.getMessage()]
    assert "\n" not in line
    assert [word.partition("=")[0] for word in line.split()] == WORDS_OF_A_LINE


@pytest.mark.parametrize(
    "model",
    [
        "../../etc/passwd",
        "mlx-community/../../etc/passwd",
        "mlx-community/..",
        "mlx-community/a\x00b",
        "mlx-community/\x1b[31m",
        "mlx-community/a\nb",
        "mlx-community/$(id)",
        "mlx-community/a b",
        "mlx-community/" + "a" * 100_000,
        "\u202e",
    ],
)
async def test_a_model_name_with_dots_or_control_characters_is_a_404_and_reaches_no_engine(target, model):
    status, answer = await target.send(post(form(model=model)))

    assert status == 404
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "model_not_found"
    assert len(answer) < 2000
    assert target.engine.calls == []


async def test_a_valid_model_name_reaches_its_engine(target):
    assert (await target.send(post(form(model="mlx-community/known"))))[0] == 200


async def test_truncated_multipart_is_a_400_wherever_it_ends(target):
    body = form(model="iic/SenseVoiceSmall")
    for end in [0, 1, len(BOUNDARY), 40, 90, 150, 400, len(body) - 30, len(body) - 8, len(body) - 5]:
        status, answer = await target.send(post(body[:end]))
        assert (end, status) == (end, 400), answer


async def test_truncated_multipart_with_a_closed_connection_leaves_the_gateway_working(target):
    body = form()
    for end in (0, 10, 100, 1000):
        _, writer = await target.connect()
        writer.write(post(body)[: len(post(body)) - len(body) + end])
        await writer.drain()
        writer.transport.abort()
    await asyncio.sleep(0.1)

    assert (await target.send(post(body)))[0] == 200

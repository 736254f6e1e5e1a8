"""A WebSocket handshake passes the same checks as an HTTP request: a small route behind the gateway's middlewares."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from rapl_gateway.app import create_app
from rapl_gateway.settings import Settings
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.http.websocket import GuardedWebSocket
from rapl_service.testing import served, until
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

KEY = "secret"
BEARER = {"authorization": f"Bearer {KEY}"}
NOWHERE = "http://127.0.0.1:9"


class SoonPinging(GuardedWebSocket):
    """Sends a ping every tenth of a second, and waits as long for the answer."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.ping_interval = self.ping_timeout = 0.1


async def echo(websocket: WebSocket) -> None:
    if "refuse" in websocket.query_params:
        raise ServiceError(ErrorCode.OVERLOADED, "too many sessions", retry_after_s=3)
    await websocket.accept()
    text = await websocket.receive_text()
    while text == "endless":
        await websocket.send_text("x" * 100_000)
    if text == "crash":
        raise RuntimeError("a crash on purpose")
    await websocket.send_text(text)
    await websocket.close()


@pytest.fixture
async def url(tmp_path, monkeypatch) -> AsyncIterator[str]:
    monkeypatch.setattr("rapl_gateway.app.WEBSOCKET_PATHS", ("/v1/echo",))
    urls = {"sensevoice_url": NOWHERE, "mlx_url": NOWHERE, "preprocess_url": NOWHERE}
    app = create_app(Settings(root=tmp_path, api_keys=KEY, **urls))
    for path in ("/v1/echo", "/v1/unlisted"):
        app.add_api_websocket_route(path, echo)
    async with served(app, GuardedWebSocket) as url:
        yield url.replace("http", "ws")


def line_of(caplog: pytest.LogCaptureFixture) -> str:
    [line] = [record.getMessage() for record in caplog.records if "method=WEBSOCKET" in record.getMessage()]
    return line


async def test_a_client_with_a_key_is_accepted_and_its_connection_is_one_line_in_the_log(url, caplog):
    caplog.set_level(logging.INFO)
    async with connect(f"{url}/v1/echo", additional_headers={**BEARER, "x-request-id": "mine"}) as websocket:
        await websocket.send("hello")
        assert await websocket.recv() == "hello"
        assert websocket.response
        assert websocket.response.headers["x-request-id"] == "mine"
    await until(lambda: "method=WEBSOCKET" in caplog.text)

    line = line_of(caplog)
    assert line.startswith("request_id=mine method=WEBSOCKET path=/v1/echo status=101 took_s=")
    assert KEY not in caplog.text
    assert [each.name for each in caplog.records if each.name.startswith("uvicorn.error.websocket")] == []


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("/v1/echo", {}, 401, "invalid_api_key"),
        ("/v1/echo", {"authorization": "Bearer wrong"}, 401, "invalid_api_key"),
        ("/v1/echo", {**BEARER, "origin": "https://evil.example"}, 403, "forbidden"),
        ("/v1/echo", {**BEARER, "origin": "null"}, 403, "forbidden"),
        ("/v1/unlisted", BEARER, 404, "not_found"),
        ("/nowhere", BEARER, 404, "not_found"),
        ("/nowhere", {}, 401, "invalid_api_key"),
        ("/v1/models", BEARER, 404, "not_found"),
        ("/v1/audio/transcriptions", BEARER, 404, "not_found"),
        ("/v1/echo?refuse", BEARER, 429, "overloaded"),
    ],
)
async def test_a_refused_handshake_gets_the_error_envelope_and_a_line_in_the_log(
    url, caplog, path, headers, status, code
):
    caplog.set_level(logging.INFO)
    with pytest.raises(InvalidStatus) as caught:
        await connect(f"{url}{path}", additional_headers=headers)
    await until(lambda: "method=WEBSOCKET" in caplog.text)

    response = caught.value.response
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert json.loads(response.body)["error"]["code"] == code
    line = line_of(caplog)
    assert f"request_id={response.headers['x-request-id']} " in line
    assert f" status={status} " in line
    assert line.endswith(f" error={code}")
    assert [each.name for each in caplog.records if each.name.startswith("uvicorn.error.websocket")] == []


async def test_another_host_name_is_refused(url, caplog):
    caplog.set_level(logging.INFO)
    host, _, port = url.removeprefix("ws://").partition(":")
    with pytest.raises(InvalidStatus) as caught:
        await connect(f"ws://evil.example:{port}/v1/echo", host=host, additional_headers=BEARER)
    await until(lambda: "method=WEBSOCKET" in caplog.text)

    assert caught.value.response.status_code == 403
    assert line_of(caplog).endswith(" error=forbidden")


async def test_a_page_of_the_gateways_own_origin_is_accepted(url):
    async with connect(f"{url}/v1/echo", additional_headers=BEARER, origin=url.replace("ws", "http")) as websocket:
        await websocket.send("hello")
        assert await websocket.recv() == "hello"


async def test_a_route_that_crashes_after_the_handshake_closes_the_connection_with_1011(url, caplog):
    caplog.set_level(logging.INFO)
    async with connect(f"{url}/v1/echo", additional_headers=BEARER) as websocket:
        await websocket.send("crash")
        with pytest.raises(ConnectionClosedError) as caught:
            await websocket.recv()

    assert caught.value.rcvd
    assert caught.value.rcvd.code == 1011
    assert line_of(caplog).endswith(" error=internal_error")


async def test_a_client_that_does_not_read_is_disconnected(url, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("rapl_service.http.connection.UNREAD_TIMEOUT_S", 0.3)
    reader, writer = await asyncio.open_connection(*address(url), limit=1000)
    writer.write(handshake())
    await reader.readuntil(b"\r\n\r\n")
    writer.write(bytes([0x81, 0x87, 0, 0, 0, 0]) + b"endless")  # a masked text frame
    await until(lambda: "method=WEBSOCKET" in caplog.text)
    writer.close()


async def test_a_client_that_offers_compression_gets_none(url):
    async with connect(f"{url}/v1/echo", additional_headers=BEARER, compression="deflate") as websocket:
        assert websocket.response
        assert "sec-websocket-extensions" not in websocket.response.headers
        await websocket.send("hello")
        assert await websocket.recv() == "hello"


async def test_a_client_that_leaves_is_no_failure(url, caplog):
    caplog.set_level(logging.INFO)
    async with connect(f"{url}/v1/echo", additional_headers=BEARER):
        pass
    await until(lambda: "method=WEBSOCKET" in caplog.text)

    assert "error" not in line_of(caplog)
    assert "Traceback" not in caplog.text


async def test_without_the_extension_for_denial_responses_a_refused_handshake_is_closed(tmp_path):
    sent = []

    async def send(message) -> None:
        sent.append(message)

    app = create_app(Settings(root=tmp_path))
    scope = {"type": "websocket", "path": "/nowhere", "headers": [(b"host", b"localhost")], "extensions": {}}
    await app(scope, send, send)

    assert sent == [{"type": "websocket.close"}]


def address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("ws://").partition(":")
    return host, int(port)


async def status_of(url: str, request: bytes) -> tuple[bytes, bytes]:
    """First line and body of the response to these bytes."""
    reader, writer = await asyncio.open_connection(*address(url))
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.split(b"\r\n")[0], body


def handshake(*headers: str, method: str = "GET", key: str = "dGhlIHNhbXBsZSBub25jZQ==") -> bytes:
    lines = [
        f"{method} /v1/echo HTTP/1.1", "host: 127.0.0.1", "connection: Upgrade", "upgrade: websocket",
        "sec-websocket-version: 13", f"sec-websocket-key: {key}", f"authorization: Bearer {KEY}", *headers, "", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        pytest.param(handshake(key="AAAA"), 400, id="key too short"),
        pytest.param(handshake(*[f"x-{n}: 1" for n in range(200)]), 400, id="too many headers"),
        pytest.param(handshake(f"x: {'a' * 70_000}"), 400, id="headers too large"),
        pytest.param(handshake(f"x: {'a' * 10_000}"), 431, id="a line that is too long for websockets"),
        pytest.param(handshake("host: evil.example"), 400, id="two hosts"),
        pytest.param(handshake(method="POST"), 405, id="another method"),
    ],
)
async def test_a_handshake_that_is_not_valid_gets_the_error_envelope(url, request_bytes, status):
    line, body = await status_of(url, request_bytes)

    assert line.split()[1] == str(status).encode()
    assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}


async def test_a_handshake_whose_headers_do_not_end_is_given_up(url, monkeypatch):
    monkeypatch.setattr("rapl_service.http.connection.HEADERS_S", 0.2)

    line, _ = await status_of(url, handshake()[:-4])

    assert line.startswith(b"HTTP/1.1 400")


async def hold(websocket: WebSocket) -> None:
    """Takes no message for a second."""
    await websocket.accept()
    await asyncio.sleep(1.0)
    await websocket.send_text(await websocket.receive_text())
    await websocket.close()


async def test_pings_need_no_answer_while_the_route_takes_no_messages():
    app = Starlette(routes=[WebSocketRoute("/hold", hold)])
    async with served(app, SoonPinging) as url, connect(f"{url.replace('http', 'ws')}/hold") as websocket:
        await websocket.send("first")
        await websocket.send("second")

        assert await websocket.recv() == "first"


async def test_a_client_that_answers_no_pings_is_disconnected():
    app = Starlette(routes=[WebSocketRoute("/hold", hold)])
    async with served(app, SoonPinging) as url:
        reader, writer = await asyncio.open_connection(*address(url.replace("http", "ws")))
        writer.write(handshake().replace(b"/v1/echo", b"/hold"))
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()

    assert b"keepalive ping timeout" in answer

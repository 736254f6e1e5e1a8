"""The connection pool, against servers that a test scripts byte by byte."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
import uvloop
from rapl_service.calls.pool import ConnectionLost, HttpPool
from rapl_service.testing import reference_cycles

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HELLO = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


@dataclass
class Server:
    """Counts its connections and keeps the requests."""

    url: str = ""
    connections: int = 0
    left: int = 0
    """Connections that have ended."""
    requests: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def scripted(answer: bytes | Script, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Server]:
    """A server that answers every request with these bytes, or runs the script for each connection."""
    server = Server()

    async def again_and_again(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await received(reader):
            server.requests.append(request)
            writer.write(answer)  # type: ignore[arg-type]

    at_work: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        at_work.add(task)
        server.connections += 1
        with suppress(ConnectionError, asyncio.CancelledError):
            await (again_and_again if isinstance(answer, bytes) else answer)(reader, writer)
        writer.close()
        server.left += 1

    listener = await asyncio.start_server(connected, host, port)
    server.url = f"http://{host}:{listener.sockets[0].getsockname()[1]}"
    async with listener:
        yield server
    for task in at_work:
        task.cancel()
    await asyncio.gather(*at_work)
    await asyncio.sleep(0.005)  # the connections close


async def received(reader: asyncio.StreamReader) -> bytes:
    """One request, headers and body; empty when the client has closed the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    length = next((line for line in head.split(b"\r\n") if line.startswith(b"content-length")), b"content-length: 0")
    return head + await reader.readexactly(int(length.split(b":")[1]))


@pytest.fixture
async def pool() -> AsyncIterator[HttpPool]:
    async with HttpPool(connect_s=2.0, keep_s=30.0) as pool:
        yield pool


async def post(pool: HttpPool, server: Server, *body: bytes | memoryview) -> bytes:
    return (await pool.request("POST", server.url, "/v1/x", {"content-type": "text/plain"}, body)).body


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - it is the other end that changes
            await asyncio.sleep(0.005)


async def test_a_request_is_sent_in_its_pieces_and_answered_whole(pool: HttpPool):
    async with scripted(b"HTTP/1.1 429 Slow Down\r\nRetry-After: 3\r\ncontent-length: 2\r\n\r\nno") as server:
        answer = await pool.request("POST", server.url, "/v1/x?y=1", {"x-request-id": "a"}, (b"ab", memoryview(b"cd")))

    assert (answer.status, answer.headers["retry-after"], answer.body) == (429, "3", b"no")
    [request] = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert body == b"abcd"
    host = server.url.removeprefix("http://").encode()
    assert head.split(b"\r\n") == [
        b"POST /v1/x?y=1 HTTP/1.1",
        b"host: " + host,
        b"content-length: 4",
        b"x-request-id: a",
    ]


async def test_a_large_body_arrives_whole(pool: HttpPool):
    async with scripted(HELLO) as server:
        body = bytes(range(256)) * 4096
        await post(pool, server, body)

    assert server.requests[0].endswith(body)


async def test_a_connection_is_used_again(pool: HttpPool):
    async with scripted(HELLO) as server:
        assert [await post(pool, server) for _ in range(3)] == [b"hello"] * 3

    assert server.connections == 1


async def test_requests_at_once_have_a_connection_each_and_share_them_later(pool: HttpPool):
    async with scripted(HELLO) as server:
        for _ in range(2):
            assert await asyncio.gather(*[post(pool, server) for _ in range(4)]) == [b"hello"] * 4

        assert server.connections == 4


async def test_a_chunked_response_that_arrives_byte_by_byte_is_read_whole(pool: HttpPool):
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await received(reader):
            for byte in chunked:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0)

    async with scripted(slowly) as server:
        assert await post(pool, server) == b"hello"
        assert await post(pool, server) == b"hello"
        assert server.connections == 1


async def test_an_interim_response_is_skipped(pool: HttpPool):
    async with scripted(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + HELLO) as server:
        assert await post(pool, server) == b"hello"


async def test_a_response_that_arrives_before_the_body_is_sent_is_returned(pool: HttpPool):
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        await reader.read()

    async with scripted(refuse) as server:
        answer = await pool.request("POST", server.url, "/", {}, (bytes(50_000_000),))

    assert answer.status == 413


async def test_a_connection_that_the_server_closes_after_its_response_is_not_used_again(pool: HttpPool):
    async with scripted(HELLO.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")) as server:
        assert [await post(pool, server) for _ in range(2)] == [b"hello"] * 2
        assert server.connections == 2


async def test_a_connection_that_was_closed_while_it_was_idle_is_not_used_again(pool: HttpPool):
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await received(reader)
        writer.write(HELLO)
        await writer.drain()

    async with scripted(once) as server:
        for number in (1, 2):
            assert await post(pool, server) == b"hello"
            await until(lambda number=number: server.left == number)
            await asyncio.sleep(0.01)  # the pool notices it


async def test_an_idle_connection_is_closed_and_a_younger_one_stays():
    async with HttpPool(connect_s=2.0, keep_s=0.1) as pool, scripted(HELLO) as server:
        await asyncio.gather(post(pool, server), post(pool, server))
        for _ in range(10):  # one of the two is enough for these
            await asyncio.sleep(0.03)
            await post(pool, server)
        assert (server.connections, server.left) == (2, 1)
        await until(lambda: server.left == 2)


async def test_a_response_without_a_request_closes_the_connection(pool: HttpPool):
    async def twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await received(reader)
        writer.write(HELLO + HELLO.replace(b"hello", b"other"))
        await reader.read()

    async with scripted(twice) as server:
        assert await post(pool, server) == b"hello"
        await until(lambda: server.left == 1)
        assert await post(pool, server) == b"hello"


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\ncontent-le", HELLO[:-1], b"HTTP/1.1 200 OK\r\n\r\nno length", b"SSH-2.0-OpenSSH\r\n"],
)
async def test_an_incomplete_response_is_a_lost_connection(pool: HttpPool, answer: bytes):
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await received(reader)
        writer.write(answer)

    async with scripted(break_off) as server:
        with pytest.raises(ConnectionLost):
            await post(pool, server, b"abc")


async def test_a_port_where_no_process_listens_refuses_the_connection(pool: HttpPool):
    async with scripted(HELLO) as server:
        pass

    with pytest.raises(ConnectionRefusedError):
        await post(pool, server)


async def test_an_unknown_host_name_refuses_the_connection(pool: HttpPool):
    with pytest.raises(ConnectionRefusedError):
        await pool.request("GET", "http://unknown.invalid:8000", "/", {})


@pytest.fixture
async def replicas(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses of the name `replicas`, which a test may change, as an orchestrator's DNS has them."""
    addresses = ["127.0.0.1", "127.0.0.2"]
    loop = asyncio.get_running_loop()
    real = loop.getaddrinfo

    async def resolve(host, port, **options):
        if host != "replicas":
            return await real(host, port, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(loop, "getaddrinfo", resolve)
    return addresses


async def test_the_connections_to_a_name_with_two_addresses_go_to_both(pool: HttpPool, replicas: list[str]):
    async with scripted(HELLO) as one:
        port = int(one.url.rpartition(":")[2])
        async with scripted(HELLO, "127.0.0.2", port) as other:
            await asyncio.gather(*(pool.request("GET", f"http://replicas:{port}", "/", {}) for _ in range(50)))

    assert min(one.connections, other.connections) > 5
    assert one.connections + other.connections == 50


async def test_a_connection_goes_to_another_address_if_nothing_listens_at_one(pool: HttpPool, replicas: list[str]):
    replicas[:] = ["127.0.0.3", "127.0.0.4", "127.0.0.1"]
    async with scripted(HELLO) as server:
        port = int(server.url.rpartition(":")[2])
        answers = await asyncio.gather(*(pool.request("GET", f"http://replicas:{port}", "/", {}) for _ in range(20)))

    assert {answer.body for answer in answers} == {b"hello"}


async def test_a_cancelled_request_closes_its_connection(pool: HttpPool):
    async def say_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await received(reader)
        assert await reader.read() == b""

    async with scripted(say_nothing) as server:
        posting = asyncio.create_task(post(pool, server, b"abc"))
        await until(lambda: server.connections == 1)
        posting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await posting
        await until(lambda: server.left == 1)


@pytest.mark.parametrize(("path", "header"), [("/a\r\nx: y", "b"), ("/", "b\r\nx: y"), ("/", "b\nx: y"), ("/", "b\rx")])
async def test_no_header_can_be_smuggled(pool: HttpPool, path: str, header: str):
    async with scripted(HELLO) as server:
        with pytest.raises(ValueError, match="line break"):
            await pool.request("POST", server.url, path, {"x-request-id": header})

    assert server.requests == []


async def test_a_base_url_may_have_a_path_of_its_own(pool: HttpPool):
    async with scripted(HELLO) as server:
        await pool.request("GET", f"{server.url}/engine", "/v1/models", {"host": "engine"})

    assert server.requests[0].split(b"\r\n")[:2] == [b"GET /engine/v1/models HTTP/1.1", b"host: engine"]


async def test_no_reference_cycle_keeps_a_request_or_a_response():
    with reference_cycles() as left:
        async with HttpPool(connect_s=2.0, keep_s=30.0) as pool, scripted(HELLO) as server:
            for _ in range(3):
                await post(pool, server, bytes(100_000))
    assert left == set()


def test_it_works_on_uvloop_whose_transports_are_of_other_types():
    async def story() -> None:
        async with HttpPool(connect_s=2.0, keep_s=0.1) as pool:
            await test_a_request_is_sent_in_its_pieces_and_answered_whole(pool)
            await test_a_large_body_arrives_whole(pool)
            await test_a_connection_is_used_again(pool)
            await test_a_connection_that_was_closed_while_it_was_idle_is_not_used_again(pool)
            await test_an_incomplete_response_is_a_lost_connection(pool, HELLO[:-1])
            await test_a_port_where_no_process_listens_refuses_the_connection(pool)
            await test_a_cancelled_request_closes_its_connection(pool)
            await test_an_idle_connection_is_closed_and_a_younger_one_stays()

    uvloop.run(story())

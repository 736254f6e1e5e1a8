"""When a service stops, connections that were made before are served, and later ones are refused."""

import asyncio
import multiprocessing
import socket
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event

import pytest
import uvloop
from rapl_service.listener import close_after_backlog

REQUEST = b"GET / HTTP/1.1\r\n\r\n"
LIMIT_S = 20
HOSTS = ["127.0.0.1", "::1"]
LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


class Answering(asyncio.Protocol):
    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(b"answer")
        self.transport.close()


async def listen(host: str = "127.0.0.1") -> tuple[asyncio.Server, tuple[str, int]]:
    server = await asyncio.get_running_loop().create_server(Answering, host, 0, backlog=256)
    address, port, *_ = server.sockets[0].getsockname()
    return server, (address, port)


def run(story: Callable, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(story())


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("new_loop", LOOPS)
def test_every_connection_in_the_backlog_is_served(new_loop, host: str):
    async def story() -> None:
        server, address = await listen(host)
        # No turn of the event loop passes between these connections and the end: none of them has been accepted.
        clients = [socket.create_connection(address) for _ in range(100)]
        for client in clients[::2]:
            client.sendall(REQUEST)
        await close_after_backlog([server], Answering)
        for client in clients[1::2]:
            client.sendall(REQUEST)
        for client in clients:
            with client:
                client.setblocking(False)
                assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 100), 5) == b"answer"

    run(story, new_loop)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("new_loop", LOOPS)
def test_a_later_connection_is_refused_and_a_successor_can_listen_at_once(new_loop, host: str):
    async def story() -> None:
        server, address = await listen(host)
        await close_after_backlog([server], Answering)

        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=5)
        with socket.create_server(address, family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            socket.create_connection(address, timeout=5).close()

    run(story, new_loop)


def connect_until_refused(address: tuple[str, int], has_begun: Event, lost: "multiprocessing.Queue[int]") -> None:
    """Sends one request after the other, each on a connection of its own, and counts those that are not answered."""
    count = 0
    ends = time.monotonic() + LIMIT_S
    while time.monotonic() < ends:
        try:
            client = socket.create_connection(address, timeout=5)
        except ConnectionRefusedError:
            break
        with client:
            if client.getsockname() == client.getpeername():  # the port is free, and was this client's own by chance
                break
            try:
                client.sendall(REQUEST)
                count += client.recv(100) != b"answer"
            except ConnectionError:
                count += 1
        has_begun.set()
    lost.put(count)


@pytest.mark.parametrize("new_loop", LOOPS)
def test_no_client_loses_its_request_while_others_connect_without_a_pause(new_loop):
    context = multiprocessing.get_context("spawn")
    has_begun, lost = context.Event(), context.Queue()

    async def story() -> None:
        server, address = await listen()
        arguments = (address, has_begun, lost)
        clients = [context.Process(target=connect_until_refused, args=arguments, daemon=True) for _ in range(2)]
        for client in clients:
            client.start()
        assert await asyncio.to_thread(has_begun.wait, LIMIT_S)
        await asyncio.sleep(0.2)
        await close_after_backlog([server], Answering)
        for client in clients:
            await asyncio.to_thread(client.join, LIMIT_S)

    run(story, new_loop)

    assert [lost.get(timeout=5) for _ in range(2)] == [0, 0]

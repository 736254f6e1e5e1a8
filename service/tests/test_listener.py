"""When a service stops, connections that were made before are served, and later ones are refused."""

import asyncio
import socket
import sys
from collections.abc import Callable

import pytest
import uvloop
from rapl_service.listening.listener import close_after_backlog

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


CONNECT_UNTIL_REFUSED = """
import socket, sys
address, sent, lost = (sys.argv[1], int(sys.argv[2])), 0, 0
while True:
    try:
        client = socket.create_connection(address, timeout=5)
    except ConnectionRefusedError:
        break
    with client:
        if client.getsockname() == client.getpeername():  # the port is free, and was this client's own by chance
            break
        try:
            client.sendall(b"GET / HTTP/1.1\\r\\n\\r\\n")
            lost += client.recv(100) != b"answer"
        except ConnectionError:
            lost += 1
    sent += 1
    if sent == 1:
        print("begun", flush=True)
print(lost)
"""
"""Sends one request after the other, each on a connection of its own. Prints a line after the first one, and at the end
how many were not answered."""


@pytest.mark.parametrize("new_loop", LOOPS)
def test_no_client_loses_its_request_while_others_connect_without_a_pause(new_loop):
    lost: list[str] = []

    async def story() -> None:
        server, address = await listen()
        command = [sys.executable, "-c", CONNECT_UNTIL_REFUSED, *map(str, address)]
        clients = [await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE) for _ in range(2)]
        for client in clients:
            await asyncio.wait_for(client.stdout.readline(), LIMIT_S)
        await asyncio.sleep(0.2)
        await close_after_backlog([server], Answering)
        for client in clients:
            output, _ = await asyncio.wait_for(client.communicate(), LIMIT_S)
            lost.append(output.decode().strip())

    run(story, new_loop)

    assert lost == ["0", "0"]

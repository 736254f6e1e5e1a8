"""A listening socket that turns newcomers away still has those who came before."""

import socket
import sys
from collections.abc import Iterator

import pytest
from rapl_protocol.newcomers import turn_away

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such filter")


@pytest.fixture(params=["127.0.0.1", "::1"])
def listener(request) -> Iterator[socket.socket]:
    with socket.create_server((request.param, 0), family=_family(request.param)) as listener:
        listener.settimeout(5)
        yield listener


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def test_who_was_connected_is_let_in_and_heard(listener):
    with socket.create_connection(listener.getsockname()[:2]) as early:
        turn_away(listener)
        early.sendall(b"sent afterwards")
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.recv(100) == b"sent afterwards"
            accepted.sendall(b"answered")
            assert early.recv(100) == b"answered"


def test_who_comes_later_does_not_get_in(listener):
    turn_away(listener)

    with pytest.raises(TimeoutError):
        socket.create_connection(listener.getsockname()[:2], timeout=0.5)


def test_who_comes_later_reaches_the_successor_when_there_is_one(listener):
    host, port, *_ = listener.getsockname()
    turn_away(listener)
    with socket.socket(listener.family) as late:
        late.settimeout(0.2)
        with pytest.raises(TimeoutError):
            late.connect((host, port))
        listener.close()
        with socket.create_server((host, port), family=listener.family) as successor:
            successor.settimeout(5)
            accepted, _ = successor.accept()
            accepted.close()

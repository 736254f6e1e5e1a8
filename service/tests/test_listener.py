"""A listening socket that turns newcomers away still has those who came before."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from rapl_service.listener import stop_accepting


def _is_allowed() -> bool:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        try:
            stop_accepting(listener)
        except PermissionError:
            return False
    return sys.platform == "linux"


filtered = pytest.mark.skipif(not _is_allowed(), reason="this system has no such filter, or not for this user")


@pytest.fixture(params=["127.0.0.1", "::1"])
def listener(request) -> Iterator[socket.socket]:
    with socket.create_server((request.param, 0), family=_family(request.param)) as listener:
        listener.settimeout(5)
        yield listener


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


@filtered
def test_who_was_connected_is_let_in_and_heard(listener):
    with socket.create_connection(listener.getsockname()[:2]) as early:
        stop_accepting(listener)
        early.sendall(b"sent afterwards")
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.recv(100) == b"sent afterwards"
            accepted.sendall(b"answered")
            assert early.recv(100) == b"answered"


@filtered
def test_who_comes_later_does_not_get_in(listener):
    stop_accepting(listener)

    with pytest.raises(TimeoutError):
        socket.create_connection(listener.getsockname()[:2], timeout=0.5)


@filtered
def test_who_comes_later_reaches_the_successor_when_there_is_one(listener):
    host, port, *_ = listener.getsockname()
    stop_accepting(listener)
    with socket.socket(listener.family) as late:
        late.settimeout(0.2)
        with pytest.raises(TimeoutError):
            late.connect((host, port))
        listener.close()
        with socket.create_server((host, port), family=listener.family) as successor:
            successor.settimeout(5)
            accepted, _ = successor.accept()
            accepted.close()


def test_a_service_stops_in_order_where_the_system_does_not_allow_it():
    """The program stands in for such a system: here it depends on the kernel and on who runs the tests."""
    program = """
import os, signal, socket, threading
from rapl_protocol import service
from rapl_service.engine_app import transcriber_app
from rapl_protocol.testing import FakeTranscriber
from types import SimpleNamespace

def forbidden(listener):
    raise PermissionError(1, "Operation not permitted")

service.stop_accepting = forbidden
threading.Timer(1, os.kill, (os.getpid(), signal.SIGTERM)).start()
service.serve(transcriber_app(FakeTranscriber()), SimpleNamespace(host="127.0.0.1", port=0, log_level="INFO"))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)

    assert ended.returncode == 0, ended.stderr
    assert "Operation not permitted" in ended.stderr
    assert "Application shutdown complete" in ended.stderr

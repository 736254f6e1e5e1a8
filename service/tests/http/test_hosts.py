import socket

import pytest
from rapl_service.http.hosts import AllowedHosts, is_loopback, local_names


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8000", "a.localhost", "127.0.0.1", "[::1]:8000", "192.168.1.20:80", "host.docker.internal",
     "host.lima.internal:8030", socket.gethostname(), "stt.example", "ada.office.example:443"],
)  # fmt: skip
def test_addresses_names_of_this_machine_and_added_names_are_allowed(host: str):
    assert AllowedHosts(local_names().union({"STT.example", "*.office.example"})).allow(host.encode())


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8030", "localhost@evil.example",
     "localhost:80@evil.example", "evil.example#localhost", "localhost.", "0x7f.1", "[::1", "office.example"],
)  # fmt: skip
def test_other_names_are_not(host: str):
    allowed = AllowedHosts(local_names().union({"*.office.example"}))

    assert [allowed.allow(host.encode()) for _ in range(2)] == [False, False]


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("0.0.0.0", False), ("::", False),
     ("192.168.1.20", False), ("mac.local", False), ("", False)],
)  # fmt: skip
def test_a_loopback_host_is_reached_from_this_machine_only(host: str, expected: bool):
    assert is_loopback(host) is expected

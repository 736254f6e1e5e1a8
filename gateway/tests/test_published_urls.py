"""The addresses that the gateway's log names in a container."""

import pytest
from rapl_gateway.settings import Settings


@pytest.mark.parametrize(
    ("publish", "ports", "urls"),
    [
        (None, {"publish_port": 8000}, ()),
        ("127.0.0.1", {"publish_port": 8000}, ("http://127.0.0.1:8000",)),
        ("0.0.0.0", {"publish_port": 80, "publish_tls_port": 443}, ("http://127.0.0.1:80", "https://127.0.0.1:443")),
        ("192.168.1.20", {"publish_port": 8000}, ("http://192.168.1.20:8000",)),
        ("[::]", {"publish_port": 8000}, ("http://127.0.0.1:8000",)),
    ],
)
def test_the_published_urls_are_those_for_this_machine(publish, ports, urls):
    assert Settings(publish=publish, **ports).published_urls() == urls

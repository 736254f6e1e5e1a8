"""Attack: web pages of other origins, open in a browser on the same machine."""

import pytest
from raw_http import form, get, post


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "evil.example#localhost",
        "localhost.",
        "0x7f.1",
        "[::1",
        "",
    ],
)
@pytest.mark.parametrize(
    "request_to", [lambda host: get("/v1/models", host=host), lambda host: post(form(), host=host)]
)
async def test_dns_rebinding_an_unknown_host_name_is_refused(target, host, request_to):
    status, answer = await target.send(request_to(host))

    assert status in (400, 403)
    assert b"SenseVoice" not in answer
    assert target.engine.calls == []


@pytest.mark.parametrize(
    "host",
    ["localhost:8000", "127.0.0.1", "[::1]:8000", "192.168.1.20:8000", "LOCALHOST", "a.localhost"],
)
async def test_local_names_and_ip_addresses_are_accepted(target, host):
    assert (await target.send(get("/v1/models", host=host)))[0] == 200


@pytest.mark.parametrize("host", ["gateway", "gateway:8000", "GATEWAY", "gateway.", "a.gateway"])
async def test_the_name_gateway_can_be_another_machine_and_is_refused(target, host):
    assert (await target.send(get("/v1/models", host=host)))[0] == 403


async def test_in_a_container_of_compose_gateway_is_the_own_name(attack):
    target = await attack(publish="127.0.0.1")

    names = ["gateway", "gateway:8000", "GATEWAY", "a.gateway", "mlx-service"]
    assert [(await target.send(get("/v1/models", host=name)))[0] for name in names] == [200, 200, 200, 403, 403]


async def test_a_name_in_allowed_hosts_is_accepted(attack):
    target = await attack(allowed_hosts="stt.example.com,*.office.example")

    names = ["stt.example.com", "ada.office.example:443", "evil.example"]
    assert [(await target.send(get("/v1/models", host=name)))[0] for name in names] == [200, 200, 403]


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:3000", "http://127.0.0.1:1", "null"])
async def test_cross_origin_post_of_another_origin_is_refused_even_without_a_preflight(target, origin):
    status, answer = await target.send(post(form(), f"origin: {origin}"))

    assert (status, b'"forbidden"' in answer) == (403, True)
    assert target.engine.calls == []


async def test_a_page_of_an_allowed_origin_is_accepted(attack):
    target = await attack(cors_origins="https://app.example")

    assert (await target.send(post(form(), "origin: https://app.example")))[0] == 200


@pytest.mark.parametrize("origin", ["http://127.0.0.1", "tauri://localhost", "chrome-extension://abcdef"])
async def test_the_gateways_own_page_and_installed_programs_are_accepted(target, origin):
    assert (await target.send(post(form(), f"origin: {origin}")))[0] == 200


@pytest.mark.parametrize("origin", [[], ["origin: https://evil.example"]])
async def test_cross_origin_websocket_is_not_upgraded(target, origin):
    upgrade = ["connection: Upgrade", "upgrade: websocket", "sec-websocket-version: 13", "sec-websocket-key: AAAA"]
    status, answer = await target.send(get("/v1/audio/transcriptions", *upgrade, *origin))

    assert status == 400
    assert b"101 " not in answer

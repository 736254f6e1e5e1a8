"""Attack: web pages of other people, open in a browser on the same machine."""

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
async def test_dns_rebinding_a_name_that_is_not_ours_gets_nothing(target, host, request_to):
    status, answer = await target.send(request_to(host))

    assert status in (400, 403)
    assert b"SenseVoice" not in answer
    assert target.engine.calls == []


@pytest.mark.parametrize(
    "host",
    ["localhost:8000", "127.0.0.1", "[::1]:8000", "192.168.1.20:8000", "gateway:8000", "LOCALHOST", "a.localhost"],
)
async def test_every_name_and_address_of_ours_is_let_in(target, host):
    assert (await target.send(get("/v1/models", host=host)))[0] == 200


async def test_a_name_that_the_operator_adds_is_let_in(attack):
    target = await attack(allowed_hosts="stt.example.com,*.office.example")

    names = ["stt.example.com", "ada.office.example:443", "evil.example"]
    assert [(await target.send(get("/v1/models", host=name)))[0] for name in names] == [200, 200, 403]


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:3000", "http://127.0.0.1:1", "null"])
async def test_cross_origin_post_a_page_that_may_not_is_refused_even_without_asking_first(target, origin):
    status, answer = await target.send(post(form(), f"origin: {origin}"))

    assert (status, b'"forbidden"' in answer) == (403, True)
    assert target.engine.calls == []


async def test_a_page_of_an_origin_that_may_is_let_in(attack):
    target = await attack(cors_origins="https://app.example")

    assert (await target.send(post(form(), "origin: https://app.example")))[0] == 200


@pytest.mark.parametrize("origin", ["http://127.0.0.1", "tauri://localhost", "chrome-extension://abcdef"])
async def test_a_page_of_our_own_and_an_installed_program_are_let_in(target, origin):
    assert (await target.send(post(form(), f"origin: {origin}")))[0] == 200


@pytest.mark.parametrize("origin", [[], ["origin: https://evil.example"]])
async def test_cross_origin_websocket_no_upgrade_is_made(target, origin):
    upgrade = ["connection: Upgrade", "upgrade: websocket", "sec-websocket-version: 13", "sec-websocket-key: AAAA"]
    status, answer = await target.send(get("/v1/audio/transcriptions", *upgrade, *origin))

    assert status == 400
    assert b"101 " not in answer

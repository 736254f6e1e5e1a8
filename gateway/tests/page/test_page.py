"""The page at `/`: what is served, and how it is protected."""

import asyncio

import httpx
import pytest
from rapl_gateway.api.paths import canonical_path
from rapl_gateway.page.files import page_files

FILES = page_files()
TYPES = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "txt": "text/plain"}


async def test_the_page_is_html_and_may_be_read_without_a_key_where_keys_are_on(start):
    fleet = await start(api_keys="secret")

    answer = await fleet.http.get("/")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (await fleet.http.get("/page/app.js")).status_code == 200


@pytest.mark.parametrize("path", ["/v1/models", "/page/models", "/page/v1/models", "/page/nothing.js"])
async def test_everything_else_needs_the_key(start, path):
    fleet = await start(api_keys="secret")

    assert (await fleet.http.get(path)).status_code == 401


async def test_a_path_below_the_page_does_not_open_the_api(start):
    fleet = await start(api_keys="secret")
    files = {"file": ("speech.wav", fleet.speech.to_wav())}

    answer = await fleet.http.post("/page/audio/transcriptions", files=files)

    assert answer.status_code == 401


async def test_each_file_is_served_with_its_type(fleet):
    for path, file in FILES.items():
        answer = await fleet.http.get(path)

        expected = TYPES.get(path.rpartition(".")[2], "text/html")
        assert (path, answer.status_code, answer.headers["content-type"].split(";")[0]) == (path, 200, expected)
        assert answer.content == file.content
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"


async def test_head_answers_like_get_without_the_content(fleet):
    answer = await fleet.http.head("/")

    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) == len(FILES["/"].content)


async def test_a_file_that_the_browser_has_is_not_sent_again(fleet):
    first = await fleet.http.get("/page/app.js")

    again = await fleet.http.get("/page/app.js", headers={"if-none-match": first.headers["etag"]})

    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert first.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["/page/../routes.py", "/page/%2e%2e/routes.py", "/page/..%2froutes.py", "/page//etc/passwd", "/page/"]
)
async def test_no_path_leads_out_of_the_page(fleet, path):
    assert await status_of(fleet.url, path) == 404


def test_no_file_has_the_path_of_a_route_of_the_api():
    assert [path for path in FILES if canonical_path(path) != path] == []


async def test_the_policy_allows_nothing_from_elsewhere_and_nothing_inline(fleet):
    answer = await fleet.http.get("/")

    sent = answer.headers["content-security-policy"].split("; ")
    policy = {name: sources.split() for name, _, sources in (directive.partition(" ") for directive in sent)}
    host = httpx.URL(fleet.url).netloc.decode()
    assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == ["'none'"]
    assert policy["script-src"] == ["'self'"]
    assert policy["connect-src"] == ["'self'", f"ws://{host}", f"wss://{host}"]
    assert "unsafe" not in answer.headers["content-security-policy"]


async def test_another_host_name_gets_no_page(fleet):
    answer = await fleet.http.get("/", headers={"host": "attacker.example"})

    assert answer.status_code == 403


async def status_of(url: str, path: str) -> int:
    """Sends the path as it is: clients resolve `..` themselves."""
    to = httpx.URL(url)
    reader, writer = await asyncio.open_connection(to.host, to.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {to.netloc.decode()}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return int(answer.split()[1])

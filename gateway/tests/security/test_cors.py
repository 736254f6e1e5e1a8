import pytest
from pydantic import ValidationError
from rapl_gateway.settings import Settings
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.testing import FakeTranscriber

ORIGIN = "http://localhost:5173"
PREFLIGHT = {
    "origin": ORIGIN,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,x-stainless-lang",
}
APPS = [
    "app://obsidian.md",
    "tauri://localhost",
    "http://tauri.localhost",
    "https://tauri.localhost",
    "wails://wails",
    "http://wails.localhost",
    "capacitor://localhost",
    "ionic://localhost",
    "chrome-extension://fpmkabgdhlalbcmgfjbkbpgplmkhjgoc",
    "moz-extension://9a1f4a1e-8f3c-4f5c-b6a1-d6a2c6f3a001",
    "safari-web-extension://0F6A8F3C-1B2C-4D5E-8F90-A1B2C3D4E5F6",
    "vscode-webview://1qnr9hgd0ts6ugmqgfgt0vubbjrjc7eaj3o9v7eoj9gsnnqf2l0b",
    "vscode-file://vscode-app",
    "file://",
]
PAGES = [
    ORIGIN,
    "https://evil.example",
    "http://tauri.localhost.evil.example",
    "https://tauri-localhost.example",
    "http://evil.example/app://obsidian.md",
    "HTTPS://evil.example",
    "null",
    "app",
]


@pytest.mark.parametrize("origin", PAGES)
async def test_no_web_page_may_call_without_the_setting(fleet, origin):
    files = {"file": fleet.speech.to_wav()}
    preflight = await fleet.http.options("/v1/audio/transcriptions", headers=PREFLIGHT | {"origin": origin})
    answer = await fleet.http.get("/v1/models", headers={"origin": origin})
    sent = await fleet.http.post("/v1/audio/transcriptions", headers={"origin": origin}, files=files)

    for each in (preflight, answer, sent):
        assert not [name for name in each.headers if name.startswith("access-control")]
    assert (sent.status_code, fleet.sensevoice.calls) == (403, [])


@pytest.mark.parametrize("origin", APPS)
async def test_a_program_with_an_origin_of_its_own_passes_the_preflight_and_reads_the_answer(start, origin):
    fleet = await start(api_keys=("secret",))
    asked = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,x-request-id",
        "access-control-request-private-network": "true",
    }

    preflight = await fleet.http.options("/v1/audio/transcriptions", headers=asked)
    headers = {"origin": origin, "authorization": "Bearer secret"}
    answer = await fleet.http.post("/v1/audio/transcriptions", headers=headers, files={"file": fleet.speech.to_wav()})

    assert preflight.is_success
    assert preflight.headers["access-control-allow-origin"] == origin
    assert preflight.headers["access-control-allow-headers"].startswith("authorization")
    assert preflight.headers["access-control-allow-private-network"] == "true"
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, origin)
    exposed = answer.headers["access-control-expose-headers"].lower().split(", ")
    assert {"x-request-id", "x-rapl-coverage", "x-rapl-problems", "x-rapl-fallback", "*"} <= set(exposed)


@pytest.mark.parametrize(
    ("engine", "file", "status"),
    [
        (FakeTranscriber("iic/SenseVoiceSmall"), b"junk", 400),
        (FakeTranscriber("iic/SenseVoiceSmall", crashes=True), None, 500),
        (FakeTranscriber("iic/SenseVoiceSmall", fails_with=ServiceError(ErrorCode.OVERLOADED, "busy")), None, 429),
    ],
)
async def test_such_a_program_reads_every_error(start, engine, file, status):
    fleet = await start(engine)
    files = {"file": fleet.speech.to_wav() if file is None else file}
    for path, expected in (("/v1/audio/transcriptions", status), ("/v1/nowhere", 404)):
        answer = await fleet.http.post(path, headers={"origin": "app://obsidian.md"}, files=files)

        assert (answer.status_code, answer.json()["error"]["type"] != "") == (expected, True)
        assert answer.headers["access-control-allow-origin"] == "app://obsidian.md"


async def test_such_a_program_reads_that_its_key_or_the_host_is_wrong(start):
    fleet = await start(api_keys=("secret",))

    wrong_key = await fleet.http.get("/v1/models", headers={"origin": "tauri://localhost"})
    wrong_host = await fleet.http.get("/v1/models", headers={"origin": "tauri://localhost", "host": "other.example"})

    assert [each.status_code for each in (wrong_key, wrong_host)] == [401, 403]
    for each in (wrong_key, wrong_host):
        assert each.headers["access-control-allow-origin"] == "tauri://localhost"


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/audio/transcriptions/"])
async def test_a_listed_origin_passes_the_preflight_without_a_key(start, path):
    fleet = await start(cors_origins=(ORIGIN,), api_keys=("secret",))

    answer = await fleet.http.options(path, headers=PREFLIGHT)

    assert answer.is_success
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "authorization" in answer.headers["access-control-allow-headers"]
    assert "x-stainless-lang" in answer.headers["access-control-allow-headers"]
    assert "POST" in answer.headers["access-control-allow-methods"]


async def test_a_listed_origin_may_read_responses_and_errors_and_others_may_not(start):
    fleet = await start(cors_origins=(ORIGIN,), api_keys=("secret",))

    listed = await fleet.http.get("/v1/models", headers={"origin": ORIGIN})
    other = await fleet.http.get("/v1/models", headers={"origin": "http://evil.example"})

    assert (listed.status_code, listed.headers["access-control-allow-origin"]) == (401, ORIGIN)
    assert "x-request-id" in listed.headers["access-control-expose-headers"].lower()
    assert "access-control-allow-origin" not in other.headers


async def test_an_asterisk_lets_every_page_read(start):
    fleet = await start(cors_origins=("*",))

    answer = await fleet.http.get("/v1/models", headers={"origin": "https://any.example"})

    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    ("written", "origins"),
    [
        ("http://localhost:5173/", ("http://localhost:5173",)),
        ("https://App.Example/, http://b.example", ("https://app.example", "http://b.example")),
        ("https://app.example:443", ("https://app.example",)),
        ("http://app.example:80/,http://app.example:8080", ("http://app.example", "http://app.example:8080")),
        ("http://[::1]:3000/", ("http://[::1]:3000",)),
        ("app://obsidian.md/", ("app://obsidian.md",)),
        ("*", ("*",)),
        ("", ()),
    ],
)
def test_an_entry_may_have_a_slash_at_its_end_capitals_and_the_usual_port(monkeypatch, written, origins):
    monkeypatch.setenv("RAPL_CORS_ORIGINS", written)

    assert Settings().cors_origins == origins


@pytest.mark.parametrize(
    "written",
    [
        "localhost:5173",
        "app.example",
        "https://app.example/page",
        "https://*.app.example",
        "https://app.example?x=1",
        "https://ada@app.example",
        "https://app.example; https://b.example",
        "https://bücher.example",
        "https://",
        "//app.example",
        "https://[::1",
    ],
)
def test_a_wrong_entry_is_an_error_that_shows_it(monkeypatch, written):
    monkeypatch.setenv("RAPL_CORS_ORIGINS", f"https://right.example,{written}")

    with pytest.raises(ValidationError, match="is not an origin") as caught:
        Settings()
    assert repr(written) in str(caught.value)

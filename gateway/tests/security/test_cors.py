import pytest

ORIGIN = "http://localhost:5173"
PREFLIGHT = {
    "origin": ORIGIN,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,x-stainless-lang",
}


async def test_no_web_page_may_call_unless_the_operator_says_so(fleet):
    preflight = await fleet.http.options("/v1/audio/transcriptions", headers=PREFLIGHT)
    answer = await fleet.http.get("/v1/models", headers={"origin": ORIGIN})

    for each in (preflight, answer):
        assert not [name for name in each.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/audio/transcriptions/"])
async def test_a_listed_origin_passes_the_preflight_without_a_key(start, path):
    fleet = await start(cors_origins=(ORIGIN,), api_keys=("secret",))

    answer = await fleet.http.options(path, headers=PREFLIGHT)

    assert answer.is_success
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "authorization" in answer.headers["access-control-allow-headers"]
    assert "x-stainless-lang" in answer.headers["access-control-allow-headers"]
    assert "POST" in answer.headers["access-control-allow-methods"]


async def test_a_listed_origin_may_read_answers_and_errors_and_another_may_not(start):
    fleet = await start(cors_origins=(ORIGIN,), api_keys=("secret",))

    listed = await fleet.http.get("/v1/models", headers={"origin": ORIGIN})
    other = await fleet.http.get("/v1/models", headers={"origin": "http://evil.example"})

    assert (listed.status_code, listed.headers["access-control-allow-origin"]) == (401, ORIGIN)
    assert "x-request-id" in listed.headers["access-control-expose-headers"].lower()
    assert "access-control-allow-origin" not in other.headers

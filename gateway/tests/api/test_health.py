"""What probes, monitors and clients that tell servers apart get."""

import pytest

GETS = [
    "/health",
    "/health/live",
    "/health/ready",
    "/openapi.json",
    "/v1/models",
    "/models",
    "/v1/models/rapl/selftest",
    "/v1/models/no/such",
    "/v1/progress/none",
    "/nowhere",
]


async def test_health_is_json_and_not_the_text_by_which_clients_recognize_speaches(fleet):
    answer = await fleet.http.get("/health")

    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"status": "ok"}


@pytest.mark.parametrize("path", ["/v1/readyz", "/readyz", "/v1/test", "/v1/healthz"])
async def test_paths_by_which_clients_recognize_other_servers_are_not_found(fleet, path):
    answer = await fleet.http.get(path)

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", GETS)
async def test_head_is_answered_as_get_without_the_body(fleet, path):
    get, head = await fleet.http.get(path), await fleet.http.head(path)

    assert (head.status_code, head.content) == (get.status_code, b"")
    for name in ("content-type", "content-length"):
        assert head.headers[name] == get.headers[name]


async def test_head_of_a_path_that_only_takes_uploads_is_not_allowed(fleet):
    assert (await fleet.http.head("/v1/audio/transcriptions")).status_code == 405


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/openapi.json"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_health_and_the_api_description_need_no_key(start, path, method):
    fleet = await start(api_keys=("secret",))

    assert (await fleet.http.request(method, path)).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": "Basic c2VjcmV0"}])
@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/models"), ("HEAD", "/v1/models"), ("POST", "/nowhere")])
async def test_a_401_names_the_scheme_of_the_key(start, headers, method, path):
    fleet = await start(api_keys=("secret",))

    answer = await fleet.http.request(method, path, headers=headers)

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")

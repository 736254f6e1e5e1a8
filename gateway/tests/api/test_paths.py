import pytest
from rapl_gateway.api.paths import canonical_path

BASES = ["", "/v1", "/v1/v1", "/doubao", "/doubao/v1", "/v1/audio/transcriptions/v1"]


@pytest.mark.parametrize("slash", ["", "/", "//"])
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(
    "endpoint",
    ["/audio/transcriptions", "/audio/translations", "/models", "/models/iic/SenseVoiceSmall", "/models/whisper-1"],
)
def test_an_endpoint_is_found_behind_any_base_url_that_a_person_may_type(base, endpoint, slash):
    assert canonical_path(base + endpoint + slash).rstrip("/") == f"/v1{endpoint}"


@pytest.mark.parametrize(
    "path",
    ["/", "/health/live", "/nowhere", "/audio", "/v1/audio/speech", "/v1/modelspace", "/v1/transcriptions"],
)
def test_another_path_stays_what_it_is(path):
    assert canonical_path(path) == path


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions/", "/audio/transcriptions", "/v1/v1/audio/transcriptions"])
async def test_an_upload_to_any_of_them_is_answered_without_a_redirect(fleet, path):
    answer = await fleet.http.post(path, files={"file": fleet.speech.to_wav()}, follow_redirects=False)

    assert answer.json()["text"] == "iic/SenseVoiceSmall 1"

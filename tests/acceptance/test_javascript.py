"""openai-node and the Vercel AI SDK, unpatched."""

import sys
from pathlib import Path

import pytest
from services import ServiceProcess

SAMPLE = Path(__file__).parents[2] / "samples" / "three-one-four.wav"


@pytest.fixture(scope="module")
def saw(fleet, node):
    """What openai-node saw of each model."""
    answers = {}

    def of(model: str):
        if model not in answers:
            answers[model] = node("openai_node.mjs", f"{fleet.gateway.url}/v1", SAMPLE, model)
        return answers[model]

    return of


def test_node_gets_the_words_from_a_stream_of_unknown_length_and_from_a_buffer(saw, model, words):
    assert (saw(model)["readStream"], saw(model)["buffer"]) == (words, words)


def test_node_gets_text_formats_as_text(saw, model, words):
    assert saw(model)["text"] == f"{words}\n"
    assert saw(model)["srt"].startswith("1\n00:00:0")
    assert saw(model)["vtt"].startswith("WEBVTT\n\n00:00:0")


def test_node_gets_segments_with_times(saw, model, words):
    verbose = saw(model)["verbose"]

    assert [segment["text"] for segment in verbose["segments"]] == [words]
    [segment] = verbose["segments"]
    assert 0 <= segment["start"] < segment["end"] <= verbose["duration"]


def test_node_gets_the_deltas_and_the_whole(saw, model, words):
    *deltas, done = saw(model)["events"]

    assert done["type"] == "transcript.text.done"
    assert "".join(event["delta"] for event in deltas) == done["text"] == words


def test_node_finds_the_models(saw, model):
    assert model in saw(model)["models"]
    assert saw(model)["retrieved"] == model


def test_node_knows_the_request_by_its_id(saw, model):
    assert saw(model)["requestId"].startswith("req_")
    assert saw(model)["sameRequestId"]


def test_node_raises_errors_as_it_knows_them(saw, model):
    unknown, undecodable = saw(model)["unknownModel"], saw(model)["undecodable"]

    assert (unknown["name"], unknown["status"], unknown["code"]) == ("NotFoundError", 404, "model_not_found")
    assert (undecodable["name"], undecodable["status"], undecodable["param"]) == ("BadRequestError", 400, "file")
    assert unknown["hasRequestId"]
    assert "no/such" in unknown["message"]


@pytest.fixture(scope="module")
def guarded(fleet, tmp_path_factory):
    """A gateway that asks for a key and takes little."""
    log = tmp_path_factory.mktemp("guarded") / "log"
    limits = {
        "RAPL_API_KEYS": "secret",
        "RAPL_MAX_UPLOAD_BYTES": "1000000",
        "RAPL_SENSEVOICE_URL": fleet.sensevoice.url,
    }
    with ServiceProcess(sys.executable, "rapl_gateway", "RAPL_PORT", log, **limits) as gateway:
        yield gateway


@pytest.mark.parametrize(
    ("key", "name", "status"), [("wrong", "AuthenticationError", 401), ("secret", "APIError", 413)]
)
def test_node_sees_why_a_large_upload_is_refused_although_it_is_still_sending(
    guarded, node, tmp_path, key, name, status
):
    large = tmp_path / "large.wav"
    large.write_bytes(bytes(30_000_000))

    saw = node("openai_node_errors.mjs", f"{guarded.url}/v1", key, large)

    assert (saw["name"], saw["status"]) == (name, status)


@pytest.fixture(scope="module")
def ai_saw(selftest_gateway, node):
    """What the AI SDK saw of SenseVoice."""
    return node("ai_sdk.mjs", f"{selftest_gateway.url}/v1", SAMPLE, "rapl/selftest")


def test_the_ai_sdk_gets_the_words(ai_saw):
    assert ai_saw["plain"]["text"] == "3 1 4 1 5 9."


def test_the_ai_sdk_gets_the_gateways_reason(ai_saw):
    assert ai_saw["unknownModel"]["status"] == 404
    assert "no/such" in ai_saw["unknownModel"]["message"]


def test_the_ai_sdk_takes_the_complete_segments_that_it_asks_of_whisper(ai_saw):
    assert ai_saw["whisper"]["text"] == "3 1 4 1 5 9."
    [segment] = ai_saw["whisper"]["segments"]
    assert segment["text"] == "3 1 4 1 5 9."
    assert 0 <= segment["startSecond"] < segment["endSecond"] <= 3.07

"""openai-node and the Vercel AI SDK, both unmodified."""

import sys

import pytest
from services import SAMPLE, ServiceProcess


@pytest.fixture(scope="module")
def results(fleet, node):
    """The results of openai-node by model."""
    answers = {}

    def of(model: str):
        if model not in answers:
            answers[model] = node("openai_node.mjs", f"{fleet.gateway.url}/v1", SAMPLE, model)
        return answers[model]

    return of


def test_node_gets_the_text_from_a_stream_of_unknown_length_and_from_a_buffer(results, model, words):
    assert (results(model)["readStream"], results(model)["buffer"]) == (words, words)


def test_node_gets_text_formats_as_text(results, model, words):
    assert results(model)["text"] == f"{words}\n"
    assert results(model)["srt"].startswith("1\n00:00:0")
    assert results(model)["vtt"].startswith("WEBVTT\n\n00:00:0")


def test_node_gets_segments_with_times(results, model, words):
    verbose = results(model)["verbose"]

    assert [segment["text"] for segment in verbose["segments"]] == [words]
    [segment] = verbose["segments"]
    assert 0 <= segment["start"] < segment["end"] <= verbose["duration"]


def test_node_gets_the_deltas_and_the_final_text(results, model, words):
    *deltas, done = results(model)["events"]

    assert done["type"] == "transcript.text.done"
    assert "".join(event["delta"] for event in deltas) == done["text"] == words


def test_node_lists_and_retrieves_the_models(results, model):
    assert model in results(model)["models"]
    assert results(model)["retrieved"] == model


def test_node_gets_the_request_id(results, model):
    assert results(model)["requestId"].startswith("req_")
    assert results(model)["sameRequestId"]


def test_node_raises_its_own_error_classes(results, model):
    unknown, undecodable = results(model)["unknownModel"], results(model)["undecodable"]

    assert (unknown["name"], unknown["status"], unknown["code"]) == ("NotFoundError", 404, "model_not_found")
    assert (undecodable["name"], undecodable["status"], undecodable["param"]) == ("BadRequestError", 400, "file")
    assert unknown["hasRequestId"]
    assert "no/such" in unknown["message"]


@pytest.fixture(scope="module")
def gateway_with_limits(fleet, tmp_path_factory):
    """A gateway that requires a key and limits uploads to 1 MB."""
    log = tmp_path_factory.mktemp("gateway_with_limits") / "log"
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
def test_node_gets_the_reason_of_a_refused_upload_while_it_is_still_sending(
    gateway_with_limits, node, tmp_path, key, name, status
):
    large = tmp_path / "large.wav"
    large.write_bytes(bytes(30_000_000))

    result = node("openai_node_errors.mjs", f"{gateway_with_limits.url}/v1", key, large)

    assert (result["name"], result["status"]) == (name, status)


@pytest.fixture(scope="module")
def ai_result(selftest_gateway, node):
    """The results of the AI SDK with SenseVoice."""
    return node("ai_sdk.mjs", f"{selftest_gateway.url}/v1", SAMPLE, "rapl/selftest")


def test_the_ai_sdk_gets_the_text(ai_result):
    assert ai_result["plain"]["text"] == "3 1 4 1 5 9."


def test_the_ai_sdk_gets_the_gateways_reason(ai_result):
    assert ai_result["unknownModel"]["status"] == 404
    assert "no/such" in ai_result["unknownModel"]["message"]


def test_the_ai_sdk_accepts_the_segments_that_it_requests_for_whisper(ai_result):
    assert ai_result["whisper"]["text"] == "3 1 4 1 5 9."
    [segment] = ai_result["whisper"]["segments"]
    assert segment["text"] == "3 1 4 1 5 9."
    assert 0 <= segment["startSecond"] < segment["endSecond"] <= 3.07

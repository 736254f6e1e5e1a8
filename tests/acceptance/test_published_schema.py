"""Every answer validates against OpenAI's published schema."""

import json

import httpx
import jsonschema
import pytest
from openai_schemas import ERROR, MODEL, MODEL_LIST, TEXT_DELTA, TEXT_DONE, TRANSCRIPTION, VERBOSE_TRANSCRIPTION

GRANULARITIES = {"timestamp_granularities[]": "segment"}


def test_json(fleet, sample, model):
    answer = fleet.transcribe(sample, model)

    assert answer.headers["content-type"] == "application/json"
    jsonschema.validate(answer.json(), TRANSCRIPTION)


def test_verbose_json(fleet, sample, model):
    body = fleet.transcribe(sample, model, response_format="verbose_json", **GRANULARITIES).json()

    jsonschema.validate(body, VERBOSE_TRANSCRIPTION)
    assert body["segments"]


def test_verbose_json_with_words(fleet, sample):
    fields = {"response_format": "verbose_json", "timestamp_granularities[]": "word"}
    body = fleet.transcribe(sample, "rapl/selftest", **fields).json()

    jsonschema.validate(body, VERBOSE_TRANSCRIPTION)
    assert body["words"]


def test_events(fleet, sample, model):
    answer = fleet.transcribe(sample, model, stream="true")

    assert answer.headers["content-type"].startswith("text/event-stream")
    blocks = answer.text.removesuffix("\n\n").split("\n\n")
    *events, end = [block for block in blocks if not block.startswith(":")]  # lines with a colon are comments
    *deltas, done = [json.loads(event.removeprefix("data: ")) for event in events]
    assert end == "data: [DONE]"
    for delta in deltas:
        jsonschema.validate(delta, TEXT_DELTA)
    jsonschema.validate(done, TEXT_DONE)


@pytest.mark.parametrize("response_format", ["text", "srt", "vtt"])
def test_text_formats_are_plain_text(fleet, sample, model, response_format):
    answer = fleet.transcribe(sample, model, response_format=response_format)

    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_models(fleet, model):
    jsonschema.validate(httpx.get(f"{fleet.gateway.url}/v1/models").json(), MODEL_LIST)
    jsonschema.validate(httpx.get(f"{fleet.gateway.url}/v1/models/{model}").json(), MODEL)


@pytest.mark.parametrize("fields", [{"model": "no/such"}, {"language": "klingon"}, {"stream": "perhaps"}])
def test_errors(fleet, sample, fields):
    answer = fleet.transcribe(sample, **({"model": "rapl/selftest"} | fields))

    jsonschema.validate(answer.json(), ERROR)

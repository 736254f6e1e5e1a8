import math

import pytest

TWO_SEGMENTS = b"MEDIA:2"


@pytest.fixture
async def answer_as(fleet):
    fleet.sensevoice.text = "part {n}"

    async def ask(response_format: str, **fields: str):
        return await fleet.transcribe(TWO_SEGMENTS, response_format=response_format, **fields)

    return ask


async def test_json_is_the_text_and_the_seconds_and_nothing_behind_it(answer_as):
    answer = await answer_as("json")

    assert answer.headers["content-type"] == "application/json"
    assert answer.text == '{"text":"part 1 part 2","languages":[{"code":"en"}],"usage":{"type":"duration","seconds":2}}'


async def test_text_is_the_text_and_one_line_feed(answer_as):
    answer = await answer_as("text")

    assert (answer.headers["content-type"], answer.text) == ("text/plain; charset=utf-8", "part 1 part 2\n")


async def test_srt_is_written_as_openai_writes_it(answer_as):
    answer = await answer_as("srt")

    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text == ("1\n00:00:00,000 --> 00:00:01,000\npart 1\n\n2\n00:00:01,000 --> 00:00:02,000\npart 2\n\n\n")


async def test_vtt_is_written_as_openai_writes_it(answer_as):
    answer = await answer_as("vtt")

    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\npart 1\n\n00:00:01.000 --> 00:00:02.000\npart 2\n\n"
    )


async def test_verbose_json_names_the_language_and_has_every_field_of_a_segment_as_a_number(answer_as):
    body = (await answer_as("verbose_json")).json()

    assert (body["task"], body["language"], body["duration"]) == ("transcribe", "english", 2.0)
    assert "words" not in body
    for segment in body["segments"]:
        for name in ("id", "seek", "start", "end", "temperature", "avg_logprob", "compression_ratio", "no_speech_prob"):
            assert math.isfinite(segment[name])
        assert segment["tokens"] == []


async def test_words_alone_leave_the_segments_out(answer_as):
    body = (await answer_as("verbose_json", **{"timestamp_granularities[]": "word"})).json()

    assert body["words"] == []
    assert "segments" not in body


async def test_a_language_that_no_engine_reported_is_unknown(answer_as, fleet):
    fleet.sensevoice.language = None

    assert (await answer_as("verbose_json")).json()["language"] == "unknown"

import json
import math

import pytest
from rapl_protocol.audio import WavAudio
from rapl_protocol.testing import FakeTranscriber
from rapl_protocol.transcriber import OnText
from rapl_protocol.transcript import Decoding, Segment, TranscribeOptions, Transcript

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


REPORTED = {
    "seek": 0,
    "tokens": [50364, 1056, 50439],
    "temperature": 0.2,
    "avg_logprob": -0.4142135,
    "compression_ratio": 0.81234,
    "no_speech_prob": 1.5e-05,
}


class FakeWhisper(FakeTranscriber):
    """A fake engine that reports how it decoded a segment, and whose text begins with a space."""

    decoding = Decoding.model_validate(REPORTED)

    async def transcribe(self, audio, options, on_text=None):
        segment = Segment(start_s=0.25, end_s=0.75, text=" one", language="en", decoding=self.decoding)
        return Transcript(text="one", language="en", duration_s=audio.duration_s, segments=(segment,))


async def test_a_segment_has_what_the_engine_reports_unchanged_in_its_place_in_the_recording(start):
    fleet = await start(FakeWhisper("iic/SenseVoiceSmall"))
    first, second = (await fleet.transcribe(TWO_SEGMENTS, response_format="verbose_json")).json()["segments"]

    assert first == {
        "id": 0,
        "start": 0.25,
        "end": 0.75,
        "text": " one",
        "language": "en",
        "emotion": None,
        "events": [],
        **REPORTED,
    }
    assert (second["id"], second["seek"], second["start"], second["tokens"]) == (1, 100, 1.25, REPORTED["tokens"])


async def test_a_number_that_the_engine_does_not_report_is_neutral(start):
    fleet = await start(FakeWhisper("iic/SenseVoiceSmall"))
    fleet.sensevoice.decoding = Decoding(avg_logprob=-0.5)
    [_, segment] = (await fleet.transcribe(TWO_SEGMENTS, response_format="verbose_json")).json()["segments"]

    assert segment["avg_logprob"] == -0.5
    assert (segment["seek"], segment["tokens"], segment["temperature"], segment["no_speech_prob"]) == (125, [], 0, 0)
    assert segment["compression_ratio"] == round(4 / 12, 3)


@pytest.mark.parametrize(
    ("response_format", "expected"),
    [
        ("text", "one one\n"),
        ("srt", "1\n00:00:00,250 --> 00:00:00,750\none\n\n2\n00:00:01,250 --> 00:00:01,750\none\n\n\n"),
        (
            "vtt",
            "WEBVTT\n\n00:00:00.250 --> 00:00:00.750\none\n\n00:00:01.250 --> 00:00:01.750\none\n\n",
        ),
    ],
)
async def test_the_space_before_the_text_of_a_segment_is_only_in_verbose_json(start, response_format, expected):
    fleet = await start(FakeWhisper("iic/SenseVoiceSmall"))

    assert (await fleet.transcribe(TWO_SEGMENTS, response_format=response_format)).text == expected


async def test_words_alone_leave_the_segments_out(answer_as):
    body = (await answer_as("verbose_json", **{"timestamp_granularities[]": "word"})).json()

    assert body["words"] == []
    assert "segments" not in body


async def test_a_language_that_no_engine_reported_is_unknown(answer_as, fleet):
    fleet.sensevoice.language = None

    assert (await answer_as("verbose_json")).json()["language"] == "unknown"


class PolyglotEngine(FakeTranscriber):
    """Detects German in the first two segments, and then English."""

    async def transcribe(
        self, audio: WavAudio, options: TranscribeOptions, on_text: OnText | None = None
    ) -> Transcript:
        self.language = "de" if len(self.calls) < 2 else "en"
        return await super().transcribe(audio, options, on_text)


@pytest.mark.parametrize("stream", ["false", "true"])
async def test_a_recording_in_several_languages_says_where_each_is_spoken(start, stream):
    fleet = await start(PolyglotEngine("iic/SenseVoiceSmall"))

    answer = await fleet.transcribe(b"MEDIA:3", stream=stream)

    body = json.loads(answer.text.split("data: ")[-2]) if stream == "true" else answer.json()
    assert body["languages"] == [{"code": "de"}, {"code": "en"}]
    assert body["language_segments"] == [
        {"start": 0.0, "end": 2.0, "code": "de"},
        {"start": 2.0, "end": 3.0, "code": "en"},
    ]

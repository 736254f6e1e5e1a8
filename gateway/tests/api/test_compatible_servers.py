"""The requests of other servers' clients. Each is what the client's public source sends.

Bazarr: custom_libs/subliminal_patch/providers/whisperai.py. whisper.cpp: the example on the server's own page.
"""

import asyncio
import json
from functools import partial

import pytest
import requests
from rapl_protocol.testing import FakeTranscriber, make_tone
from rapl_protocol.transcript import Segment, Transcript, Word
from subtitle_checker import cues_in

SPEECH = make_tone(1.0)
RAW = bytes(SPEECH.pcm)


class Talker(FakeTranscriber):
    """An engine whose utterance has words."""

    async def transcribe(self, audio, options, on_text=None):
        transcript = await super().transcribe(audio, options, on_text)
        words = tuple(Word(word=word, start_s=n / 2, end_s=n / 2 + 0.5) for n, word in enumerate(("guten", "Tag")))
        segment = Segment(start_s=0.0, end_s=1.0, text=" guten Tag", language=self.language, words=words)
        return Transcript(
            text="guten Tag", language=self.language, duration_s=transcript.duration_s, segments=(segment,)
        )


@pytest.fixture
async def fleet(start):
    return await start(Talker("iic/SenseVoiceSmall", language="de"))


@pytest.fixture
def bazarr(fleet):
    """Sends what Bazarr's provider sends."""
    with requests.Session() as session:
        session.headers["User-Agent"] = "Subliminal/2.1.0"

        async def post(path: str, raw: bytes = RAW, **params: str) -> requests.Response:
            send = partial(
                session.post, f"{fleet.url}{path}", params=params, files={"audio_file": raw}, timeout=(5, 60)
            )
            return await asyncio.to_thread(send)

        yield post


async def test_bazarr_gets_subtitles_of_raw_audio(bazarr, fleet):
    answer = await bazarr("/asr", task="transcribe", language="de", output="srt", encode="false")

    assert answer.status_code == 200
    assert [cue.lines for cue in cues_in(answer.content.decode())] == [("guten Tag",)]
    [(audio, options)] = fleet.sensevoice.calls
    assert bytes(audio.pcm) == RAW
    assert (options.language, options.translate) == ("de", False)


async def test_bazarr_gets_a_translation(bazarr, fleet):
    answer = await bazarr("/asr", task="translate", language="de", output="srt", encode="false")

    assert answer.status_code == 200
    assert fleet.sensevoice.calls[0][1].translate


async def test_bazarr_detects_the_language(bazarr):
    answer = await bazarr("/detect-language", encode="false")

    body = answer.json()
    assert (body["detected_language"], body["language_code"]) == ("german", "de")


async def test_half_a_sample_at_the_end_of_raw_audio_is_left_out(bazarr, fleet):
    answer = await bazarr("/asr", RAW + b"\0", output="txt", encode="false")

    assert answer.text == "guten Tag\n"
    assert bytes(fleet.sensevoice.calls[0][0].pcm) == RAW


async def test_the_language_is_detected_in_the_first_speech_only(fleet):
    fleet.sensevoice.delay_s = 0.01
    files = {"audio_file": ("film.mkv", b"SPEECH:200")}

    answer = await fleet.http.post("/detect-language", files=files)

    assert answer.json()["language_code"] == "de"
    assert len(fleet.sensevoice.calls) < 20


async def test_without_speech_no_language_is_invented(fleet):
    fleet.preprocess.speech_s = 0.0

    answer = await fleet.http.post("/detect-language?encode=false", files={"audio_file": RAW})

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "audio_file")


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("txt", "guten Tag\n"),
        ("tsv", "start\tend\ttext\n0\t1000\tguten Tag\n"),
        ("vtt", "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nguten Tag\n\n"),
    ],
)
async def test_asr_writes_whispers_formats(fleet, output, expected):
    answer = await fleet.http.post(f"/asr?output={output}", files={"audio_file": ("a.wav", SPEECH.to_wav())})

    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text == expected


async def test_asr_writes_whispers_json(fleet):
    url = "/asr?task=transcribe&language=de&output=json&word_timestamps=true"
    answer = await fleet.http.post(url, files={"audio_file": ("a.wav", SPEECH.to_wav(), "audio/wav")})

    body = json.loads(answer.text)
    assert (body["text"], body["language"]) == ("guten Tag", "de")
    [segment] = body["segments"]
    assert (segment["start"], segment["end"], segment["text"]) == (0.0, 1.0, " guten Tag")
    assert [word["word"] for word in segment["words"]] == ["guten", "Tag"]


@pytest.mark.parametrize(
    ("query", "param"),
    [("output=docx", "output"), ("task=sing", "task"), ("encode=maybe", "encode"), ("language=xx", "language")],
)
async def test_asr_refuses_a_wrong_value_by_name(fleet, query, param):
    answer = await fleet.http.post(f"/asr?{query}", files={"audio_file": ("a.wav", SPEECH.to_wav())})

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_asr_refuses_a_form_without_its_file(fleet):
    answer = await fleet.http.post("/asr", files={"file": ("a.wav", SPEECH.to_wav())})

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "audio_file")


@pytest.fixture
def whisper_cpp(fleet):
    """Sends the example of the server's page, with other fields."""

    async def post(**fields: str):
        data = {"temperature": "0.0", "temperature_inc": "0.2", "no_speech_thold": "0.6", **fields}
        return await fleet.http.post("/inference", data=data, files={"file": ("a.wav", SPEECH.to_wav(), "audio/wav")})

    return post


async def test_whisper_cpps_example_gets_the_text(whisper_cpp):
    answer = await whisper_cpp(response_format="json")

    assert answer.json() == {"text": "guten Tag"}


async def test_whisper_cpps_verbose_json_has_words_inside_the_segments(whisper_cpp):
    body = (await whisper_cpp(response_format="verbose_json", language="auto", token_timestamps="true")).json()

    assert (body["task"], body["language"], body["text"]) == ("transcribe", "german", "guten Tag")
    assert [word["word"] for word in body["segments"][0]["words"]] == ["guten", "Tag"]


@pytest.mark.parametrize(
    ("response_format", "media_type"),
    [("text", "text/plain"), ("srt", "application/x-subrip"), ("vtt", "text/vtt")],
)
async def test_whisper_cpps_other_formats(whisper_cpp, response_format, media_type):
    answer = await whisper_cpp(response_format=response_format)

    assert answer.headers["content-type"].startswith(media_type)
    assert "guten Tag" in answer.text


async def test_whisper_cpps_translation(whisper_cpp, fleet):
    await whisper_cpp(translate="true", language="de")

    assert fleet.sensevoice.calls[0][1].translate


@pytest.mark.parametrize("field", ["offset_t", "duration", "diarize"])
async def test_whisper_cpps_fields_that_change_the_meaning_are_refused(whisper_cpp, field):
    answer = await whisper_cpp(**{field: "1"})

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)


@pytest.mark.parametrize("path", ["/asr", "/detect-language", "/inference"])
async def test_the_routes_need_a_key_where_the_server_has_keys(start, path):
    fleet = await start(api_keys="secret")

    answer = await fleet.http.post(path, files={"audio_file": RAW})

    assert answer.status_code == 401

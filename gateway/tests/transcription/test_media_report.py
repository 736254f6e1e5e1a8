"""What preprocess-service could not read of a file is in the answer."""

import json

import pytest
from rapl_protocol.prepared import AudioTrack, Damage, MediaReport

HOLE = Damage(reason="undecodable", start_s=2.0, end_s=4.5)
CUT_OFF = Damage(reason="cut_off", start_s=9.0, end_s=18.0)
UNKNOWN_END = Damage(reason="cut_off", start_s=9.0, end_s=None)
FORMATS = ["json", "text", "srt", "vtt", "verbose_json"]


@pytest.fixture(params=["recording", "clip"])
def file(request, fleet) -> bytes:
    return b"SPEECH:1" if request.param == "recording" else b"CLIP:" + fleet.speech.to_wav()


@pytest.mark.parametrize("response_format", FORMATS)
async def test_damage_is_in_the_headers_of_every_format(fleet, file, response_format):
    fleet.preprocess.media = MediaReport(damage=(HOLE, CUT_OFF))

    answer = await fleet.transcribe(file, model="rapl/selftest", response_format=response_format)

    assert answer.status_code == 200
    assert answer.headers["x-rapl-damaged-s"] == "11.500"
    assert int(answer.headers["x-rapl-problems"]) >= 2
    assert float(answer.headers["x-rapl-coverage"]) < 0.5


@pytest.mark.parametrize("stream", ["true", "false"])
async def test_each_damage_is_a_problem_with_its_place_and_counts_in_damaged_s(fleet, file, stream):
    fleet.preprocess.media = MediaReport(damage=(HOLE, UNKNOWN_END))

    answer = await fleet.transcribe(file, model="rapl/selftest", response_format="verbose_json", stream=stream)
    body = answer.json() if stream == "false" else json.loads(answer.text.split("\n\n")[-3].removeprefix("data: "))

    places = [(problem["start"], problem["end"]) for problem in body["problems"] if "file" in problem["reason"]]
    assert places == [(2.0, 4.5), (9.0, None)]
    assert body["damaged_s"] == 2.5


async def test_a_damage_of_milliseconds_is_never_a_coverage_of_one(fleet):
    fleet.preprocess.media = MediaReport(damage=(Damage(reason="undecodable", start_s=2.0, end_s=2.0003),))

    answer = await fleet.transcribe(b"SPEECH:2", model="rapl/selftest", response_format="verbose_json")

    assert answer.json()["coverage"] < 1.0


async def test_a_whole_file_has_no_damage(fleet, file):
    answer = await fleet.transcribe(file, model="rapl/selftest", response_format="verbose_json")

    assert answer.json()["damaged_s"] == 0.0
    assert "x-rapl-damaged-s" not in answer.headers


@pytest.mark.parametrize("response_format", FORMATS)
async def test_the_tracks_that_were_not_read_are_named(fleet, file, response_format):
    other = AudioTrack(number=0, codec="aac", language="eng", is_default=True)
    fleet.preprocess.media = MediaReport(audio_track=1, other_tracks=(other,))

    answer = await fleet.transcribe(file, model="rapl/selftest", response_format=response_format)

    assert (answer.headers["x-rapl-audio-track"], answer.headers["x-rapl-other-audio-tracks"]) == ("1", "0")
    if response_format == "verbose_json":
        assert answer.json()["audio_track"] == 1
        assert answer.json()["other_audio_tracks"] == [
            {"number": 0, "codec": "aac", "language": "eng", "is_default": True}
        ]

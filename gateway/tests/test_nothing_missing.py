"""An engine that loses words is never a silent success: its segments are heard again, and what stays lost is said."""

import json

import pytest
from rapl_protocol.testing import FakeTranscriber

SENTENCE = "one may well say a good dozen words within nine seconds of speech"


class LosesWords(FakeTranscriber):
    """An engine that does something wrong to every third segment of 9 s, and nothing, or the same, to shorter ones.

    A second look asks for pieces of half the length.
    """

    def __init__(self, fault: str, *, always: bool) -> None:
        super().__init__("rapl/selftest")
        self._fault = fault
        self._always = always
        self._whole = self._pieces = 0

    async def transcribe(self, audio, options, on_text=None):
        if audio.duration_s > 8:
            self._whole += 1
            self._pieces = 0
            words = SENTENCE
        else:
            self._pieces += 1
            half = len(SENTENCE.split()) // 2
            words = " ".join(SENTENCE.split()[:half] if self._pieces % 2 else SENTENCE.split()[half:])
        is_faulty = self._whole % 3 == 0 and (self._always or audio.duration_s > 8)
        if is_faulty and self._whole > 3:
            words = {"drops": "", "truncates": words[: len(words) // 3], "loops": f"again {self._pieces} " * 12}[
                self._fault
            ]
        self.text = words
        return await super().transcribe(audio, options)


FAULTS = ["drops", "truncates", "loops"]
SIX_SEGMENTS = b"SPEECH:6"


async def test_a_sound_engine_covers_all_of_the_speech(start):
    fleet = await start(FakeTranscriber("rapl/selftest", text=SENTENCE))

    answer = await fleet.transcribe(SIX_SEGMENTS, model="rapl/selftest", response_format="verbose_json")

    assert answer.json()["coverage"] == 1.0
    assert "problems" not in answer.json()
    assert answer.headers["x-rapl-coverage"] == "1.0000"
    assert len(fleet.sensevoice.calls) == 6


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_an_engine_lost_is_found_by_a_second_look_at_smaller_pieces(start, fault):
    fleet = await start(LosesWords(fault, always=False))

    answer = await fleet.transcribe(SIX_SEGMENTS, model="rapl/selftest", response_format="verbose_json")

    body = answer.json()
    assert body["text"] == " ".join([SENTENCE] * 6)
    assert body["coverage"] == 1.0
    assert [segment["start"] for segment in body["segments"]] == sorted(s["start"] for s in body["segments"])
    assert body["segments"][-1]["end"] == 54.0


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("response_format", ["json", "text", "srt", "vtt", "verbose_json"])
async def test_what_stays_lost_is_said_in_every_format(start, fault, response_format):
    fleet = await start(LosesWords(fault, always=True))

    answer = await fleet.transcribe(SIX_SEGMENTS, model="rapl/selftest", response_format=response_format)

    assert answer.headers["x-rapl-problems"] == "1"
    assert answer.headers["x-rapl-coverage"] == "0.8333"
    if response_format == "verbose_json":
        [problem] = answer.json()["problems"]
        assert (problem["start"], problem["end"]) == (45.0, 54.0)


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_stays_lost_is_said_at_the_end_of_a_stream(start, fault):
    fleet = await start(LosesWords(fault, always=True))

    answer = await fleet.transcribe(SIX_SEGMENTS, model="rapl/selftest", stream="true")

    done = json.loads(answer.text.split("\n\n")[-3].removeprefix("data: "))
    assert done["type"] == "transcript.text.done"
    assert len(done["problems"]) == 1


async def test_speech_that_was_judged_only_at_the_end_is_missed_too_when_it_has_no_text(start):
    fleet = await start(FakeTranscriber("rapl/selftest", text=""))

    answer = await fleet.transcribe(b"LATE:1", model="rapl/selftest")

    assert (answer.headers["x-rapl-coverage"], answer.headers["x-rapl-problems"]) == ("0.0000", "1")


async def test_a_segment_without_speech_need_not_have_text(start):
    fleet = await start(FakeTranscriber("rapl/selftest", text=""))

    answer = await fleet.transcribe(b"MEDIA:3", model="rapl/selftest")

    assert answer.json()["text"] == ""
    assert "x-rapl-problems" not in answer.headers
    assert "x-rapl-coverage" not in answer.headers

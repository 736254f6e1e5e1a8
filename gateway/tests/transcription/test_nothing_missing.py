"""Words that an engine loses: its segments are transcribed again, and what stays lost is reported."""

import json

import pytest
from rapl_protocol.testing import FakeTranscriber
from rapl_protocol.transcript import Decoding

SENTENCE = (
    "one may well say some two dozen words within nine seconds of speech and still have time for a short pause before "
    "the next begins"
)
NUMBERS = ("first", "second", "third", "fourth", "fifth", "sixth")
LOSSES = ["drops", "truncates", "loops"]
FAULTS = [*LOSSES, "writes twice", "repeats the one before"]
SIX_SEGMENTS = b"SPEECH:6"


class Speaks(FakeTranscriber):
    """An engine with another sentence for every segment of 9 s, also with silence around it; half a segment gives half
    of the sentence."""

    def __init__(self) -> None:
        super().__init__("rapl/selftest")
        self.whole = self.pieces = 0

    async def transcribe(self, audio, options, on_text=None):
        cut = "none" if audio.duration_s == 9.0 else "edges" if audio.duration_s > 8 else "halves"
        if cut == "none":
            self.whole, self.pieces = self.whole + 1, 0
        elif cut == "halves":
            self.pieces += 1
        words = SENTENCES[self.whole - 1].split()
        half = len(words) // 2
        said = words if cut != "halves" else words[:half] if self.pieces % 2 else words[half:]
        text = self.spoilt(said, cut)
        transcript = await super().transcribe(audio, options)
        segments = tuple(segment.model_copy(update={"text": text}) for segment in transcript.segments)
        return transcript.model_copy(update={"text": text, "segments": segments})

    def spoilt(self, words: list[str], cut: str) -> str:
        return " ".join(words)


class LosesWords(Speaks):
    """Does something wrong to the sixth segment, in the given cuts."""

    def __init__(self, fault: str, *cuts: str) -> None:
        super().__init__()
        self._fault = fault
        self._cuts = cuts

    def spoilt(self, words: list[str], cut: str) -> str:
        said = " ".join(words)
        if self.whole < 6 or cut not in self._cuts:
            return said
        match self._fault:
            case "drops":
                return ""
            case "truncates":
                return " ".join(words[: len(words) // 3])
            case "loops":
                return f"again {self.pieces} " * 12
            case "writes twice":
                return f"{said} {said}"
            case _:
                return SENTENCES[4]


SENTENCES = [f"{number} {SENTENCE}" for number in NUMBERS]


async def test_a_correct_engine_covers_all_of_the_speech(start):
    fleet = await start(Speaks())

    answer = await fleet.transcribe(SIX_SEGMENTS, model="rapl/selftest", response_format="verbose_json")

    assert answer.json()["text"] == " ".join(SENTENCES)
    assert answer.json()["coverage"] == 1.0
    assert not {"problems", "retried"} & set(answer.json())
    assert answer.headers["x-rapl-coverage"] == "1.0000"
    assert len(fleet.sensevoice.calls) == 6


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("cuts", [("none",), ("none", "edges")])
async def test_lost_words_are_found_with_other_edges_or_in_smaller_pieces(start, fault, cuts):
    fleet = await start(LosesWords(fault, *cuts))

    answer = await fleet.transcribe(SIX_SEGMENTS, model="rapl/selftest", response_format="verbose_json")

    body = answer.json()
    assert body["text"] == " ".join(SENTENCES)
    assert body["coverage"] == 1.0
    [retried] = body["retried"]
    assert 45.0 <= retried["start"] < retried["end"] <= 54.0
    assert [segment["start"] for segment in body["segments"]] == sorted(s["start"] for s in body["segments"])
    assert body["segments"][-1]["end"] == 54.0


@pytest.mark.parametrize("fault", LOSSES)
@pytest.mark.parametrize("response_format", ["json", "text", "srt", "vtt", "verbose_json"])
async def test_words_that_stay_lost_are_reported_in_every_format(start, fault, response_format):
    fleet = await start(LosesWords(fault, "none", "edges", "halves"))

    answer = await fleet.transcribe(SIX_SEGMENTS, model="rapl/selftest", response_format=response_format)

    assert answer.headers["x-rapl-problems"] == "1"
    assert 0.83 < float(answer.headers["x-rapl-coverage"]) < 0.95  # five of six segments, and a part of the sixth
    if response_format == "verbose_json":
        [problem] = answer.json()["problems"]
        assert (problem["start"], problem["end"]) == (45.0, 54.0)


@pytest.mark.parametrize("fault", LOSSES)
async def test_words_that_stay_lost_are_reported_at_the_end_of_a_stream(start, fault):
    fleet = await start(LosesWords(fault, "none", "edges", "halves"))

    answer = await fleet.transcribe(SIX_SEGMENTS, model="rapl/selftest", stream="true")

    done = json.loads(answer.text.split("\n\n")[-3].removeprefix("data: "))
    assert done["type"] == "transcript.text.done"
    assert len(done["problems"]) == 1


async def test_missing_text_is_reported_when_speech_is_detected_only_at_the_end(start):
    fleet = await start(FakeTranscriber("rapl/selftest", text=""))

    answer = await fleet.transcribe(b"LATE:1", model="rapl/selftest")

    assert (answer.headers["x-rapl-coverage"], answer.headers["x-rapl-problems"]) == ("0.0000", "1")


async def test_a_segment_without_speech_need_not_have_text(start):
    fleet = await start(FakeTranscriber("rapl/selftest", text=""))

    answer = await fleet.transcribe(b"MEDIA:3", model="rapl/selftest")

    assert answer.json()["text"] == ""
    assert "x-rapl-problems" not in answer.headers
    assert "x-rapl-coverage" not in answer.headers


@pytest.mark.parametrize(("always", "problems"), [(False, None), (True, "1")])
async def test_a_truncated_transcript_is_transcribed_again(start, always, problems):
    class StopsEarly(Speaks):
        async def transcribe(self, audio, options, on_text=None):
            transcript = await super().transcribe(audio, options)
            return transcript.model_copy(
                update={"is_truncated": self.whole == 2 and (always or audio.duration_s == 9.0)}
            )

    fleet = await start(StopsEarly())

    answer = await fleet.transcribe(b"SPEECH:2", model="rapl/selftest")

    assert answer.headers.get("x-rapl-problems") == problems


TOO_SHORT = "nobody knows how this one begins because the engine was still asleep here"


class StartsLate(Speaks):
    """Gives half of the first segment, which is not in doubt without the others."""

    def spoilt(self, words: list[str], cut: str) -> str:
        if cut == "edges":
            return SENTENCES[0]
        return TOO_SHORT if self.whole == 1 else " ".join(words)


async def test_a_first_segment_that_was_believed_is_judged_again_by_the_rate_of_the_recording(start):
    fleet = await start(StartsLate())

    answer = await fleet.transcribe(SIX_SEGMENTS, model="rapl/selftest", response_format="verbose_json")

    body = answer.json()
    assert body["text"] == " ".join(SENTENCES)
    assert body["coverage"] == 1.0
    assert "problems" not in body
    assert [segment["start"] for segment in body["segments"]] == sorted(each["start"] for each in body["segments"])


async def test_a_first_segment_that_was_streamed_is_only_reported(start):
    fleet = await start(StartsLate())

    answer = await fleet.transcribe(SIX_SEGMENTS, model="rapl/selftest", stream="true")

    done = json.loads(answer.text.split("\n\n")[-3].removeprefix("data: "))
    assert done["text"] == " ".join([TOO_SHORT, *SENTENCES[1:]])
    [problem] = done["problems"]
    assert (problem["start"], problem["end"]) == (0.0, 9.0)


class Unsure(FakeTranscriber):
    """An engine with a confidence that it reports itself."""

    async def transcribe(self, audio, options, on_text=None):
        transcript = await super().transcribe(audio, options)
        report = Decoding(avg_logprob=-1.4)
        segments = tuple(segment.model_copy(update={"decoding": report}) for segment in transcript.segments)
        return transcript.model_copy(update={"segments": segments})


async def test_a_translation_whose_engine_is_never_sure_is_reported(start):
    fleet = await start(Unsure("rapl/selftest", text=SENTENCE))

    answer = await fleet.http.post(
        "/v1/audio/translations",
        data={"model": "rapl/selftest"},
        files={"file": ("speech", b"SPEECH:1")},
    )

    assert answer.json()["text"] == SENTENCE
    assert answer.headers["x-rapl-problems"] == "1"

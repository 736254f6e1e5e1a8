"""Speakers in streams, in `verbose_json` and in subtitles."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from rapl_protocol.testing import FakeTranscriber
from rapl_service.testing import FakeSpeakerService, served
from speakers.conversation import DIARIZING, SAID, TEXT, TWO, Talker, data_url, turns


@pytest.mark.parametrize("streams", [False, True])
async def test_a_stream_has_the_text_at_once_and_the_segments_before_its_end(start, speakers, streams):
    speakers.turns = TWO
    fleet = await start(Talker(streams=streams), speakers_url=speakers.url)

    stream = await fleet.openai.audio.transcriptions.create(
        file=b"SPEECH:2", model=DIARIZING, response_format="diarized_json", chunking_strategy="auto", stream=True
    )
    events = [event async for event in stream]

    kinds = [event.type.rpartition(".")[2] for event in events]
    assert kinds == ["delta"] * (36 if streams else 2) + ["segment"] * 4 + ["done"]
    assert [(event.speaker, event.text) for event in events if event.type.endswith("segment")] == SAID
    assert "".join(event.delta for event in events if event.type.endswith("delta")) == events[-1].text


async def test_the_text_of_a_stream_does_not_wait_for_the_speakers(start):
    """The service reads everything and does not answer before the client has the whole text."""
    may_answer = asyncio.Event()

    class Slow(FakeSpeakerService):
        async def _diarize(self, request):
            response = await super()._diarize(request)
            await may_answer.wait()
            return response

    async with served_speakers(Slow()) as speakers:
        speakers.turns = TWO
        fleet = await start(Talker(), speakers_url=speakers.url)
        stream = aiter(
            await fleet.openai.audio.transcriptions.create(
                file=b"SPEECH:2", model=DIARIZING, response_format="diarized_json", stream=True
            )
        )

        assert [(await anext(stream)).type for _ in range(2)] == ["transcript.text.delta"] * 2
        may_answer.set()
        assert [event.type async for event in stream][-1] == "transcript.text.done"


@asynccontextmanager
async def served_speakers(service: FakeSpeakerService) -> AsyncIterator[FakeSpeakerService]:
    async with served(service.app()) as service.url:
        yield service


async def test_verbose_json_names_speakers_if_asked(fleet):
    fields = {"response_format": "verbose_json", "timestamp_granularities[]": ["segment", "word"]}
    named = (await fleet.transcribe(b"SPEECH:2", speaker_labels="true", **fields)).json()
    plain = (await fleet.transcribe(b"SPEECH:2", **fields)).json()

    assert [(each["id"], each["speaker"], each["text"].strip()) for each in named["segments"]] == [
        (number, *each) for number, each in enumerate(SAID)
    ]
    assert len(named["words"]) == len(plain["words"]) == 36
    assert [each.keys() & {"speaker"} for each in plain["segments"]] == [set(), set()]


async def test_srt_names_the_speaker_of_each_cue(fleet):
    answer = await fleet.transcribe(b"SPEECH:2", response_format="srt", speaker_labels="true")

    cues = [" ".join(block.split("\n")[2:]) for block in answer.text.strip().split("\n\n")]
    assert {cue[:3] for cue in cues} == {"A: ", "B: "}
    assert " ".join(cue[3:] for cue in cues) == TEXT
    assert all(len(line) <= 42 for line in answer.text.split("\n"))


@pytest.mark.parametrize("rules", [{}, {"subtitle_rules": "off"}, {"subtitle_unit": "word"}])
async def test_no_cue_has_the_words_of_two_people(fleet, rules):
    answer = await fleet.transcribe(b"SPEECH:2", response_format="vtt", speaker_labels="true", **rules)

    cues = [" ".join(block.split("\n")[1:]) for block in answer.text.strip().split("\n\n")[1:]]
    of_speakers = {
        speaker: " ".join(cue[5:] for cue in cues if cue.startswith(f"<v {speaker}>")) for speaker in ("A", "B")
    }
    texts = {speaker: " ".join(text for who, text in SAID if who == speaker) for speaker in ("A", "B")}
    if "subtitle_unit" in rules:
        texts = {speaker: text.replace(",", "").replace(".", "") for speaker, text in texts.items()}
    assert of_speakers == texts


async def test_vtt_escapes_names_and_texts_of_known_speakers(start, speakers):
    speakers.turns = turns((0.0, 9.0, 0), references={0: 0})
    engine = FakeTranscriber("iic/SenseVoiceSmall", text="a < b & c")
    fleet = await start(engine, speakers_url=speakers.url)
    known = {"known_speaker_names[]": "Ada & <Co>", "known_speaker_references[]": data_url()}

    answer = await fleet.transcribe(b"SPEECH:1", response_format="vtt", speaker_labels="true", **known)

    assert answer.text.split("\n")[3] == "<v Ada &amp; &lt;Co&gt;>a &lt; b &amp; c"


@pytest.mark.parametrize(
    "fields", [{"response_format": "verbose_json", "speaker_labels": "true"}, {"response_format": "diarized_json"}]
)
async def test_subtitles_beside_segments_name_speakers_too(fleet, fields):
    subtitles = (await fleet.transcribe(b"SPEECH:2", **fields, **{"include[]": "subtitles"})).json()["subtitles"]

    assert "\nA: The people" in subtitles["srt"]
    assert "\n<v A>The people" in subtitles["vtt"]

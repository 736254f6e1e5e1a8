"""Who speaks in the turns of a session; speaker-service is a stand-in that is told the voice of each turn."""

import pytest
from openai.types.realtime import ConversationItemInputAudioTranscriptionSegment
from rapl_service.testing import FakeSpeakerService
from realtime.client import MANUAL, SPEECH, TEXT, Client, connected

DIARIZING = {"model": "gpt-4o-transcribe-diarize"}
INCLUDED = ["item.input_audio_transcription.speakers"]
ADA, GRACE, HALF_ADA = (1.0, 0.0), (0.0, 1.0), (0.8, 0.6)


@pytest.fixture
async def realtime(start_realtime, speakers: FakeSpeakerService):
    return await start_realtime(speakers_url=speakers.url)


async def said_by(client: Client, speakers: FakeSpeakerService, *voices: tuple[float, ...] | None) -> list[str | None]:
    """Sends a turn for each voice, and returns the speakers that the session names."""
    speakers.voices = list(voices)
    found: list[str | None] = []
    for _ in voices:
        seen = len(client.events)
        await client.append(SPEECH)
        await client.commit()
        await client.until(".completed")
        segments = [event for event in client.events[seen:] if event["type"].endswith(".segment")]
        found.append(segments[0]["speaker"] if segments else None)
    return found


async def test_turns_with_one_voice_have_one_letter(client, speakers):
    await client.update(**MANUAL, transcription=DIARIZING)

    assert await said_by(client, speakers, ADA, GRACE, HALF_ADA, GRACE) == ["A", "B", "A", "B"]


async def test_a_short_turn_is_given_to_the_nearest_voice_and_makes_no_new_one(client, speakers):
    await client.update(**MANUAL, transcription=DIARIZING)
    await said_by(client, speakers, ADA, GRACE)
    speakers.speech_s = 1.0

    assert await said_by(client, speakers, (-0.6, -0.8), (0.4, 0.6)) == ["A", "B"]


async def test_the_segment_is_the_turn_and_comes_before_it_is_completed(client, speakers):
    await client.update(**MANUAL, transcription=DIARIZING)
    await said_by(client, speakers, ADA, GRACE)

    first, second = [event for event in client.events if event["type"].endswith(".segment")]
    completed = [event for event in client.events if event["type"].endswith(".completed")]
    assert first == {
        "type": "conversation.item.input_audio_transcription.segment",
        "event_id": first["event_id"],
        "item_id": completed[0]["item_id"],
        "content_index": 0,
        "id": first["id"],
        "text": TEXT,
        "speaker": "A",
        "start": 0.0,
        "end": pytest.approx(3.06, abs=0.01),
    }
    assert second["start"] == pytest.approx(first["end"], abs=0.01)
    assert client.events.index(first) < client.events.index(completed[0])


async def test_any_model_has_speakers_if_they_are_included(client, speakers):
    session = {"type": "transcription", "audio": {"input": MANUAL}, "include": INCLUDED}
    await client.send("session.update", session=session)

    assert (await client.until("session.updated"))["session"]["include"] == INCLUDED
    assert await said_by(client, speakers, ADA) == ["A"]


async def test_without_being_asked_the_service_gets_nothing(client, speakers):
    await client.update(**MANUAL)

    assert await said_by(client, speakers, ADA) == [None]
    assert speakers.voices == [ADA]


async def test_a_turn_without_a_voice_has_its_text_and_no_segment(client, speakers):
    await client.update(**MANUAL, transcription=DIARIZING)

    assert await said_by(client, speakers, None) == [None]


async def test_if_the_service_is_down_the_turn_has_its_text_and_no_segment(start_realtime, speakers):
    fleet = await start_realtime(speakers_url="http://127.0.0.1:9")
    async with connected(fleet) as client:
        await client.update(**MANUAL, transcription=DIARIZING)

        assert await said_by(client, speakers, ADA) == [None]
        assert client.events[-1]["transcript"] == TEXT


async def test_without_the_service_a_session_cannot_include_speakers(start_realtime):
    async with connected(await start_realtime()) as client:
        await client.send("session.update", session={"type": "transcription", "include": INCLUDED})
        error = (await client.until("error"))["error"]

    assert (error["code"], error["param"]) == ("unsupported_parameter", "session.include")


async def test_openais_sdk_reads_the_segment(client, speakers):
    await client.update(**MANUAL, transcription=DIARIZING)
    await said_by(client, speakers, ADA)

    [segment] = [event for event in client.events if event["type"].endswith(".segment")]
    assert ConversationItemInputAudioTranscriptionSegment.model_validate(segment, strict=True).speaker == "A"

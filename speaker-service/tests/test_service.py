"""The service over HTTP, with small random networks: one person who never stops speaking (`checkpoints`)."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from rapl_protocol.speakers import Diarization, DiarizationOptions, RecordedSpeech, SpeakerReference
from rapl_protocol.testing import make_tone
from speakers_client import encoded

OPTIONS = DiarizationOptions()


def speech(start_s: float, duration_s: float = 2.0) -> RecordedSpeech:
    return RecordedSpeech(start_s, make_tone(duration_s))


async def test_a_recording_becomes_turns(speakers):
    answer = await speakers.diarize(OPTIONS, speech(1.0, 4.0), speech(60.0, 3.0))

    found = Diarization.model_validate(answer.json())
    assert [(round(turn.start_s), round(turn.end_s)) for turn in found.turns] == [(1, 5), (60, 63)]
    assert {turn.speaker for turn in found.turns} == {0}


async def test_a_recording_without_speech_has_no_turns(speakers):
    answer = await speakers.diarize(OPTIONS)

    assert answer.json() == {"turns": []}


async def test_speech_that_is_shorter_than_a_frame_is_no_error(speakers):
    answer = await speakers.diarize(OPTIONS, speech(0.0, 0.001))

    assert answer.status_code == 200


async def test_the_same_voice_as_a_reference_is_the_known_speaker(speakers):
    reference = SpeakerReference(make_tone(3.0))

    answer = await speakers.diarize(DiarizationOptions(references=1), reference, speech(0.0, 3.0))

    assert [turn["reference"] for turn in answer.json()["turns"]] == [0]


async def test_a_reference_with_too_little_speech_is_named_by_its_index(speakers):
    events = [DiarizationOptions(references=2), SpeakerReference(make_tone(3.0)), SpeakerReference(make_tone(0.3))]

    answer = await speakers.diarize(*events)

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "references.1"


@pytest.mark.parametrize("body", [b"", b"{}\n", b"\x00" * 100])
async def test_another_body_is_a_400(speakers, body: bytes):
    answer = await speakers.http.post("/v1/diarizations", content=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")


async def test_a_voice_is_a_vector_of_length_one(speakers):
    answer = (await speakers.http.post("/v1/embeddings", content=make_tone(3.0).to_wav())).json()

    assert len(answer["embedding"]) == 192
    assert sum(each**2 for each in answer["embedding"]) == pytest.approx(1, abs=1e-3)
    assert answer["speech_s"] == pytest.approx(3, abs=0.1)
    assert 0 < answer["same_voice_cosine"] < 1


async def test_audio_without_samples_has_no_voice(speakers):
    answer = (await speakers.http.post("/v1/embeddings", content=make_tone(0.0).to_wav())).json()

    assert (answer["embedding"], answer["speech_s"]) == (None, 0)


@pytest.mark.parametrize(
    ("body", "code"), [(b"no audio", "audio_undecodable"), (make_tone(31).to_wav(), "audio_too_large")]
)
async def test_audio_that_is_no_voice_is_refused(speakers, body: bytes, code: str):
    answer = await speakers.http.post("/v1/embeddings", content=body)

    assert answer.json()["error"]["code"] == code


async def test_a_further_request_beyond_the_limit_is_a_429(serving, speakers):
    has_begun, may_end = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield encoded(OPTIONS)
        has_begun.set()
        await may_end.wait()
        yield encoded(speech(0.0))

    async with serving(speakers.weights, max_requests=1) as small:
        await small.wait_for_state("ready")
        first = asyncio.create_task(small.http.post("/v1/diarizations", content=slow()))
        await has_begun.wait()
        refused = await small.diarize(OPTIONS)
        may_end.set()

        assert refused.status_code == 429
        assert len((await first).json()["turns"]) == 1
        assert (await small.diarize(OPTIONS)).status_code == 200


async def test_an_unloaded_model_is_a_503_until_it_is_loaded_again(speakers):
    unloaded = await speakers.http.post("/v1/models/rapl/speakers/unload")
    refused = await speakers.diarize(OPTIONS)
    await speakers.http.post("/v1/models/rapl/speakers/load")

    assert unloaded.json()["state"] == "absent"
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "model_not_ready")
    assert (await speakers.diarize(OPTIONS)).status_code == 200


async def test_a_recording_in_work_is_finished_when_the_model_is_unloaded(speakers):
    has_begun, may_end = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield encoded(OPTIONS, speech(0.0))
        has_begun.set()
        await may_end.wait()
        yield encoded(speech(30.0))

    request = asyncio.create_task(speakers.http.post("/v1/diarizations", content=slow()))
    await has_begun.wait()
    await asyncio.sleep(0)
    await speakers.http.post("/v1/models/rapl/speakers/unload")
    may_end.set()

    assert len((await request).json()["turns"]) == 2


async def test_removed_weights_are_gone_and_the_model_is_absent(speakers):
    removed = await speakers.http.delete("/v1/models/rapl/speakers")

    assert removed.json()["state"] == "absent"
    assert not speakers.weights.folder.exists()


async def test_another_model_is_a_404(speakers):
    assert (await speakers.http.post("/v1/models/other/load")).status_code == 404


async def test_the_log_has_figures_and_no_audio(speakers, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)

    await speakers.diarize(OPTIONS, speech(0.0, 2.0))

    fields = next(record.args for record in caplog.records if "path" in str(record.args))
    assert "/v1/diarizations" in str(fields)
    assert all(len(str(value)) < 100 for value in dict(fields).values())


async def test_metrics_count_the_seconds_of_speech(speakers):
    await speakers.diarize(OPTIONS, speech(0.0, 2.0), speech(9.0, 1.0))

    text = (await speakers.http.get("/metrics")).text
    assert 'rapl_audio_seconds_total{model="rapl/speakers"} 3.0' in text

import asyncio
import json

import openai
import pytest
from rapl_gateway.api.transcriptions import FIRST_TEXT_S
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.testing import FakeTranscriber
from rapl_service.testing import until


@pytest.fixture
def events():
    """The events of an answer, as they stand on the wire."""

    def read(text: str) -> list:
        blocks = text.removesuffix("\n\n").split("\n\n")
        data = [
            line.removeprefix("data: ") for block in blocks for line in block.split("\n") if line.startswith("data")
        ]
        return [block if block == "[DONE]" else json.loads(block) for block in data]

    return read


async def test_each_segment_is_a_delta_and_together_they_are_the_text(fleet, events):
    answer = await fleet.transcribe(b"MEDIA:3", model="rapl/selftest", stream="true")

    assert answer.headers["content-type"].startswith("text/event-stream")
    *deltas, done, end = events(answer.text)
    assert [event["delta"] for event in deltas] == ["rapl/selftest 1", " rapl/selftest 2", " rapl/selftest 3"]
    assert done == {
        "type": "transcript.text.done",
        "text": "".join(event["delta"] for event in deltas),
        "languages": [{"code": "en"}],
        "damaged_s": 0.0,
    }
    assert end == "[DONE]"


async def test_a_comment_after_each_segment_has_the_progress(fleet):
    answer = await fleet.transcribe(b"MEDIA:3", stream="true")

    comments = [block for block in answer.text.split("\n\n") if block.startswith(": progress ")]
    progress = [json.loads(comment.removeprefix(": progress ")) for comment in comments]
    assert progress == [{"done_s": done_s, "duration_s": 3.0} for done_s in (1.0, 2.0, 3.0)]


async def test_words_are_deltas_if_the_engine_streams(start, events):
    fleet = await start(FakeTranscriber("iic/SenseVoiceSmall", text="part {n}.", streams=True))

    answer = await fleet.transcribe(b"MEDIA:2", stream="true")

    *deltas, done, _ = events(answer.text)
    assert [event["delta"] for event in deltas] == ["part", " 1.", " part", " 2."]
    assert done["text"] == "part 1. part 2."


async def test_an_engine_that_changes_streamed_words_is_an_error(start):
    class ChangesItsMind(FakeTranscriber):
        async def transcribe(self, audio, options, on_text=None):
            on_text("one two")
            transcript = await super().transcribe(audio, options)
            return transcript.model_copy(update={"text": "one three"})

    fleet = await start(ChangesItsMind("iic/SenseVoiceSmall"))

    answer = await fleet.openai.audio.transcriptions.create(file=fleet.speech.to_wav(), model="whisper-1", stream=True)
    stream = aiter(answer)
    assert (await anext(stream)).delta == "one two"
    with pytest.raises(openai.APIError, match="already streamed"):
        await anext(stream)


async def test_the_sdk_yields_the_deltas_and_then_the_whole_text(fleet):
    stream = await fleet.openai.audio.transcriptions.create(file=fleet.speech.to_wav(), model="whisper-1", stream=True)

    assert [event.type async for event in stream] == ["transcript.text.delta", "transcript.text.done"]


@pytest.mark.parametrize("response_format", ["text", "srt", "verbose_json"])
async def test_a_stream_is_a_stream_whatever_the_format(fleet, events, response_format):
    answer = await fleet.transcribe(stream="true", response_format=response_format)

    assert [event["type"] for event in events(answer.text)[:-1]] == ["transcript.text.delta", "transcript.text.done"]


async def test_silence_is_an_empty_text(start, events):
    fleet = await start()
    fleet.preprocess.speech_s = 0.0

    answer = await fleet.transcribe(stream="true")

    done = {"type": "transcript.text.done", "text": "", "languages": [], "coverage": 1.0, "damaged_s": 0.0}
    assert events(answer.text) == [done, "[DONE]"]


async def test_a_failure_before_the_first_text_has_its_own_status(fleet):
    answer = await fleet.transcribe(b"junk", stream="true")

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "audio_undecodable")


async def test_a_failure_in_the_middle_is_raised_by_the_sdk_and_no_done_follows(start, events):
    class FailsAtTheSecond(FakeTranscriber):
        async def transcribe(self, audio, options, on_text=None):
            if self.calls:
                raise ServiceError(ErrorCode.INTERNAL, "the second segment failed")
            return await super().transcribe(audio, options)

    fleet = await start(FailsAtTheSecond("iic/SenseVoiceSmall", text="first"))

    answer = await fleet.openai.audio.transcriptions.create(file=b"MEDIA:3", model="whisper-1", stream=True)
    stream = aiter(answer)

    assert (await anext(stream)).type == "transcript.text.delta"
    with pytest.raises(openai.APIError, match="the second segment failed"):
        await anext(stream)


async def test_when_a_streaming_client_disconnects_its_work_ends_and_its_upload_is_deleted(start):
    fleet = await start(FakeTranscriber("rapl/selftest", delay_s=0.1))
    request = {"data": {"stream": "true", "model": "rapl/selftest"}, "files": {"file": b"MEDIA:30"}}
    async with fleet.http.stream(
        "POST", "/v1/audio/transcriptions", headers={"x-request-id": "mine"}, **request
    ) as answer:
        await anext(answer.aiter_raw())
    async with asyncio.timeout(20):
        while (await fleet.http.get("/v1/progress/mine")).status_code != 404:
            pass
    begun = len(fleet.sensevoice.calls)
    await fleet.transcribe(model="rapl/selftest")

    assert begun < 30
    assert len(fleet.sensevoice.calls) == begun + 1


class NeverEnding(FakeTranscriber):
    """An engine whose calls end only when they are cancelled."""

    running = 0

    async def transcribe(self, audio, options, on_text=None):
        self.running += 1
        try:
            return await super().transcribe(audio, options)
        finally:
            self.running -= 1


BEFORE_FIRST_TEXT_S = FIRST_TEXT_S / 2
"""A limit for waiting. After FIRST_TEXT_S the response begins, and then a disconnect is noticed by other means."""


@pytest.mark.parametrize("file", [None, b"MEDIA:30", b"SPEECH:3", b"MEDIA:2" + b" " * (3 << 20)])
async def test_a_client_that_leaves_before_the_first_text_ends_its_work(start, file):
    fleet = await start(NeverEnding("rapl/selftest", delay_s=3600))
    files = {"file": ("a", fleet.speech.to_wav() if file is None else file)}
    request = {"data": {"stream": "true", "model": "rapl/selftest"}, "files": files}
    sending = asyncio.create_task(
        fleet.http.post("/v1/audio/transcriptions", headers={"x-request-id": "mine"}, **request)
    )
    await until(lambda: fleet.sensevoice.running)
    assert (await fleet.http.get("/v1/progress/mine")).status_code == 200

    sending.cancel()

    await until(lambda: not fleet.sensevoice.running, BEFORE_FIRST_TEXT_S)
    assert (await fleet.http.get("/v1/progress/mine")).status_code == 404
    assert not [task for task in asyncio.all_tasks() if "next_text" in repr(task.get_coro())]


async def test_a_client_that_leaves_while_its_model_is_busy_leaves_the_queue(start):
    fleet = await start(NeverEnding("rapl/selftest", delay_s=3600))
    request = {"data": {"stream": "true", "model": "rapl/selftest"}, "files": {"file": b"MEDIA:1"}}
    sending = [asyncio.create_task(fleet.http.post("/v1/audio/transcriptions", **request)) for _ in range(5)]
    await until(lambda: fleet.sensevoice.running)

    for each in sending:
        each.cancel()

    await until(lambda: not fleet.sensevoice.running, BEFORE_FIRST_TEXT_S)
    fleet.sensevoice.delay_s = 0.0
    assert (await fleet.transcribe(model="rapl/selftest")).status_code == 200


async def test_each_event_is_a_write_of_its_own(fleet):
    chunks = []
    async with fleet.http.stream(
        "POST", "/v1/audio/transcriptions", data={"stream": "true"}, files={"file": b"MEDIA:3"}
    ) as answer:
        async for chunk in answer.aiter_raw():
            chunks.append(chunk)

    assert all(chunk.endswith(b"\n\n") for chunk in chunks)


async def test_the_engines_place_is_free_as_soon_as_the_text_is_complete(start):
    fleet = await start(FakeTranscriber("iic/SenseVoiceSmall", streams=True, delay_s=0.2))
    await fleet.transcribe(b"MEDIA:5")  # from here on the engine's pace is known
    fleet.sensevoice.delay_s = 0.0

    async with asyncio.timeout(15):  # a place that is held until such work should be done is held longer each time
        await fleet.transcribe(b"MEDIA:60", stream="true")

    assert len(fleet.sensevoice.calls) == 65

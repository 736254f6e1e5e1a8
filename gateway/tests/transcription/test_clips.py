"""Clips of up to 30 s: they reach the engine while preprocess-service looks for speech in them."""

import asyncio

import pytest
from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import ModelState
from rapl_protocol.testing import FakeTranscriber, make_tone

LIKE_SPEECH = WavAudio(b"".join((make_tone(0.5).pcm, bytes(16_000), make_tone(0.5).pcm, bytes(16_000)))).to_wav()
"""It has pauses."""
LIKE_NOISE = make_tone(2.0).to_wav()
TO_BE_DECODED = b"CLIP:"
FORMATS = [{}, {"stream": "true"}]


class AwaitableEngine(FakeTranscriber):
    """A test can wait for its first call."""

    def __init__(self, text: str = "heard", **failures) -> None:
        super().__init__("iic/SenseVoiceSmall", text=text, **failures)
        self.is_called = asyncio.Event()

    async def transcribe(self, audio, options, on_text=None):
        self.is_called.set()
        return await super().transcribe(audio, options, on_text)


@pytest.mark.parametrize("coding", [b"", TO_BE_DECODED])
@pytest.mark.parametrize("fields", FORMATS)
async def test_likely_speech_reaches_the_engine_before_speech_detection_has_ended(start, fields, coding):
    fleet = await start(engine := AwaitableEngine())
    fleet.preprocess.may_detect.clear()

    answer = asyncio.create_task(fleet.transcribe(coding + LIKE_SPEECH, **fields))
    await asyncio.wait_for(engine.is_called.wait(), 10)
    fleet.preprocess.may_detect.set()

    assert "heard" in (await answer).text


@pytest.mark.parametrize("coding", [b"", TO_BE_DECODED])
@pytest.mark.parametrize("fields", FORMATS)
async def test_the_text_of_a_clip_without_speech_is_not_returned(start, fields, coding):
    fleet = await start(engine := AwaitableEngine())
    fleet.preprocess.speech_s = 0.0
    fleet.preprocess.may_detect.clear()

    request = asyncio.create_task(fleet.transcribe(coding + LIKE_SPEECH, **fields))
    await asyncio.wait_for(engine.is_called.wait(), 10)
    fleet.preprocess.may_detect.set()
    answer = await request

    assert "heard" not in answer.text
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "audio", [LIKE_NOISE, TO_BE_DECODED + LIKE_NOISE, WavAudio(bytes(64_000)).to_wav(), WavAudio(b"").to_wav()]
)
async def test_noise_and_silence_reach_no_engine_before_speech_detection_has_ended(start, audio):
    fleet = await start()
    fleet.preprocess.speech_s = 0.0

    answer = await fleet.transcribe(audio)

    assert answer.json()["text"] == ""
    assert fleet.sensevoice.calls == []


async def test_no_model_is_loaded_before_speech_was_detected(start):
    fleet = await start(engine := AwaitableEngine(state=ModelState.ABSENT))
    fleet.preprocess.speech_s = 0.0

    answer = await fleet.transcribe(LIKE_SPEECH)

    assert answer.json()["text"] == ""
    assert not engine.is_called.is_set()


async def test_speech_in_noise_is_transcribed_after_detection(fleet):
    answer = await fleet.transcribe(LIKE_NOISE)

    assert answer.json()["text"] == "iic/SenseVoiceSmall 1"


async def test_a_dictation_does_not_wait_for_a_speech_detection_that_hangs(start, caplog):
    fleet = await start(AwaitableEngine())
    fleet.preprocess.may_detect.clear()

    answer = await fleet.transcribe(LIKE_SPEECH)
    fleet.preprocess.may_detect.set()

    assert answer.json()["text"] == "heard"
    assert "x-rapl-coverage" not in answer.headers
    assert "no speech detection" in caplog.text


async def test_an_engines_error_is_the_answer_if_there_was_speech(start):
    fleet = await start(AwaitableEngine(fails_with=ServiceError(ErrorCode.OVERLOADED, "busy")))

    answer = await fleet.transcribe(LIKE_SPEECH)

    assert answer.status_code == 429


async def test_a_clip_with_speech_but_no_text_is_transcribed_again(start):
    class DeafAtFirst(FakeTranscriber):
        async def transcribe(self, audio, options, on_text=None):
            self.text = "it is heard when it comes again" if self.calls else ""
            return await super().transcribe(audio, options, on_text)

    fleet = await start(DeafAtFirst("iic/SenseVoiceSmall"))

    answer = await fleet.transcribe(LIKE_SPEECH, response_format="verbose_json")

    assert answer.json()["text"] == "it is heard when it comes again"
    [segment] = answer.json()["segments"]
    assert (segment["start"], segment["end"]) == (0.0, 2.0)
    assert answer.headers["x-rapl-coverage"] == "1.0000"


async def test_with_speech_detection_off_preprocess_service_is_not_called(start):
    fleet = await start(speech_detection="off")

    answer = await fleet.transcribe(LIKE_NOISE)

    assert answer.json()["text"] == "iic/SenseVoiceSmall 1"
    assert fleet.preprocess.requests == []


async def test_the_decoded_audio_of_a_small_file_is_sent_unchanged(fleet):
    answer = await fleet.transcribe(TO_BE_DECODED + LIKE_SPEECH, response_format="verbose_json")

    assert answer.json()["duration"] == 2.0
    assert [audio.to_wav() for audio, _ in fleet.sensevoice.calls] == [LIKE_SPEECH]


async def test_a_small_file_is_uploaded_once(fleet):
    await fleet.transcribe(TO_BE_DECODED + LIKE_SPEECH)

    assert fleet.preprocess.uploads == ["/v1/clip"]


async def test_an_undecodable_file_reaches_no_engine(fleet):
    answer = await fleet.transcribe(b"no media")

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "audio_undecodable")
    assert fleet.sensevoice.calls == []

"""Up to half a minute: once it is a canonical WAV, its engine hears it while preprocess-service judges whether it is
speech."""

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


class HeardBy(FakeTranscriber):
    """Says when it is called, which a test may wait for."""

    def __init__(self, text: str = "heard", **failures) -> None:
        super().__init__("iic/SenseVoiceSmall", text=text, **failures)
        self.is_called = asyncio.Event()

    async def transcribe(self, audio, options, on_text=None):
        self.is_called.set()
        return await super().transcribe(audio, options, on_text)


@pytest.mark.parametrize("coding", [b"", TO_BE_DECODED])
@pytest.mark.parametrize("fields", FORMATS)
async def test_what_sounds_like_speech_is_heard_before_it_has_been_judged(start, fields, coding):
    fleet = await start(engine := HeardBy())
    fleet.preprocess.may_judge.clear()

    answer = asyncio.create_task(fleet.transcribe(coding + LIKE_SPEECH, **fields))
    await asyncio.wait_for(engine.is_called.wait(), 10)
    fleet.preprocess.may_judge.set()

    assert "heard" in (await answer).text


@pytest.mark.parametrize("coding", [b"", TO_BE_DECODED])
@pytest.mark.parametrize("fields", FORMATS)
async def test_the_text_of_what_was_no_speech_is_never_told(start, fields, coding):
    fleet = await start(engine := HeardBy())
    fleet.preprocess.speech_s = 0.0
    fleet.preprocess.may_judge.clear()

    request = asyncio.create_task(fleet.transcribe(coding + LIKE_SPEECH, **fields))
    await asyncio.wait_for(engine.is_called.wait(), 10)
    fleet.preprocess.may_judge.set()
    answer = await request

    assert "heard" not in answer.text
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "audio", [LIKE_NOISE, TO_BE_DECODED + LIKE_NOISE, WavAudio(bytes(64_000)).to_wav(), WavAudio(b"").to_wav()]
)
async def test_what_sounds_like_noise_or_silence_calls_no_engine_before_it_has_been_judged(start, audio):
    fleet = await start()
    fleet.preprocess.speech_s = 0.0

    answer = await fleet.transcribe(audio)

    assert answer.json()["text"] == ""
    assert fleet.sensevoice.calls == []


async def test_no_model_is_woken_before_it_is_known_that_there_is_speech(start):
    fleet = await start(engine := HeardBy(state=ModelState.ABSENT))
    fleet.preprocess.speech_s = 0.0

    answer = await fleet.transcribe(LIKE_SPEECH)

    assert answer.json()["text"] == ""
    assert not engine.is_called.is_set()


async def test_speech_that_sounds_like_noise_is_heard_all_the_same(fleet):
    answer = await fleet.transcribe(LIKE_NOISE)

    assert answer.json()["text"] == "iic/SenseVoiceSmall 1"


@pytest.mark.parametrize("coding", [b"", TO_BE_DECODED])
async def test_a_judge_that_hangs_does_not_keep_a_dictation_from_its_text(start, caplog, coding):
    fleet = await start(HeardBy())
    fleet.preprocess.may_judge.clear()

    answer = await fleet.transcribe(coding + LIKE_SPEECH)
    fleet.preprocess.may_judge.set()

    assert answer.json()["text"] == "heard"
    assert "x-rapl-coverage" not in answer.headers
    assert "cannot tell whether it is speech" in caplog.text


async def test_a_failure_of_the_engine_is_the_answer_where_there_was_speech(start):
    fleet = await start(HeardBy(fails_with=ServiceError(ErrorCode.OVERLOADED, "busy")))

    answer = await fleet.transcribe(LIKE_SPEECH)

    assert answer.status_code == 429


async def test_a_clip_whose_speech_has_no_text_is_heard_again(start):
    class DeafAtFirst(FakeTranscriber):
        async def transcribe(self, audio, options, on_text=None):
            self.text = "heard again" if self.calls else ""
            return await super().transcribe(audio, options, on_text)

    fleet = await start(DeafAtFirst("iic/SenseVoiceSmall"))

    answer = await fleet.transcribe(LIKE_SPEECH, response_format="verbose_json")

    assert answer.json()["text"] == "heard again"
    [segment] = answer.json()["segments"]
    assert (segment["start"], segment["end"]) == (0.0, 2.0)
    assert answer.headers["x-rapl-coverage"] == "1.0000"


async def test_with_speech_detection_off_nobody_is_asked(start):
    fleet = await start(speech_detection="off")

    answer = await fleet.transcribe(LIKE_NOISE)

    assert answer.json()["text"] == "iic/SenseVoiceSmall 1"
    assert fleet.preprocess.asked == []


async def test_what_is_decoded_is_sent_as_it_was_decoded(fleet):
    answer = await fleet.transcribe(TO_BE_DECODED + LIKE_SPEECH, response_format="verbose_json")

    assert answer.json()["duration"] == 2.0
    assert [audio.to_wav() for audio, _ in fleet.sensevoice.calls] == [LIKE_SPEECH]


async def test_what_is_decoded_is_uploaded_once(fleet):
    await fleet.transcribe(TO_BE_DECODED + LIKE_SPEECH)

    assert fleet.preprocess.uploads == ["/v1/clip"]


async def test_what_cannot_be_decoded_calls_no_engine(fleet):
    answer = await fleet.transcribe(b"no media")

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "audio_undecodable")
    assert fleet.sensevoice.calls == []

"""The real service in its own process, with the self-test model, which recognises digits."""

import asyncio
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError

SPOKEN = "3 1 4 1 5 9."


async def test_speech_becomes_its_words_with_numerals_and_punctuation(engine: Any, digits: WavAudio):
    transcript = await engine.transcribe(digits)

    assert transcript.text == SPOKEN
    assert transcript.duration_s == digits.duration_s


async def test_language_and_emotion_are_fields_and_no_tag_is_in_the_text(engine: Any, digits: WavAudio):
    transcript = await engine.transcribe(digits)

    [segment] = transcript.segments
    assert (transcript.language, segment.language, segment.emotion, segment.events) == ("en", "en", "neutral", ())
    assert "<|" not in transcript.text + segment.text


async def test_a_forced_language_is_the_one_that_is_transcribed(engine: Any, digits: WavAudio):
    transcript = await engine.transcribe(digits, language="en")

    assert (transcript.text, transcript.language) == (SPOKEN, "en")


async def test_an_unsupported_language_is_a_400_that_lists_the_supported_ones(engine: Any, digits: WavAudio):
    with pytest.raises(ServiceError, match="zh, en, yue, ja, ko") as caught:
        await engine.transcribe(digits, language="fr")

    assert (caught.value.status, caught.value.param) == (400, "language")


async def test_a_prompt_and_a_temperature_change_nothing(engine: Any, digits: WavAudio):
    assert (await engine.transcribe(digits, prompt="two seven", temperature=1.0)).text == SPOKEN


@pytest.mark.parametrize("samples", [0, 1, 100, 399, 400, 16_000, 480_000])
async def test_silence_of_any_length_is_no_text_and_no_language(engine: Any, samples: int):
    transcript = await engine.transcribe(WavAudio(bytes(2 * samples)), word_timestamps=True)

    assert (transcript.text, transcript.language) == ("", None)


async def test_words_have_times_in_order_and_within_the_audio(engine: Any, digits: WavAudio):
    [segment] = (await engine.transcribe(digits, word_timestamps=True)).segments

    words = segment.words
    assert [w.word for w in words] == ["3", "1", "4", "1", "5", "9"]
    assert all(0 <= w.start_s < w.end_s <= digits.duration_s for w in words)
    assert all(a.end_s <= b.start_s for a, b in pairwise(words))
    assert digits.duration_s / 3 < words[-1].start_s - words[0].start_s < digits.duration_s


async def test_words_have_no_times_unless_requested(engine: Any, digits: WavAudio):
    [segment] = (await engine.transcribe(digits)).segments

    assert segment.words is None


async def test_the_text_has_a_confidence_and_a_place(engine: Any, digits: WavAudio):
    transcript = await engine.transcribe(digits)

    [segment] = transcript.segments
    assert segment.decoding is not None
    assert -0.5 < segment.decoding.avg_logprob <= 0
    [span] = transcript.text_spans
    assert digits.duration_s / 2 < span.duration_s <= digits.duration_s


async def test_the_absent_real_model_is_an_error_with_a_remedy_while_the_self_test_model_answers(
    engine: Any, digits: WavAudio
):
    with pytest.raises(ServiceError, match="prepare-model") as caught:
        await engine.transcribe(digits, model="iic/SenseVoiceSmall")

    assert caught.value.code is ErrorCode.MODEL_NOT_READY
    assert (await engine.transcribe(digits)).text == SPOKEN


async def test_twenty_requests_at_once_all_get_the_right_answer(engine: Any, digits: WavAudio):
    half = WavAudio(digits.pcm[: len(digits.pcm) // 4 * 2])
    alone = [await engine.transcribe(audio, word_timestamps=True) for audio in (digits, half)]
    together = await asyncio.gather(
        *(engine.transcribe(audio, word_timestamps=True) for _ in range(10) for audio in (digits, half))
    )

    assert together == alone * 10


async def test_the_same_audio_gives_the_same_answer_every_time(engine: Any, digits: WavAudio):
    answers = [await engine.transcribe(digits, word_timestamps=True) for _ in range(5)]

    assert answers == answers[:1] * 5


async def test_the_log_has_only_our_lines_and_no_transcript(engine: Any, digits: WavAudio):
    await engine.transcribe(digits)
    log = engine.log_path.read_text()

    assert SPOKEN not in log
    assert [line for line in log.splitlines() if " rapl" not in line and " uvicorn." not in line] == []


def test_the_service_is_alive_while_a_model_loads(start_engine: Callable[[], Any]):
    engine = start_engine()
    took_s = []
    while engine.info("rapl/selftest").state != "ready":
        began = time.perf_counter()
        assert engine.get("/health/live")
        took_s.append(time.perf_counter() - began)
        time.sleep(0.02)

    # Importing the runtime loads its libraries under Python's global lock, which may delay an answer.
    assert statistics.median(took_s) < 0.1
    assert max(took_s) < 5


async def test_an_unloaded_model_answers_again_only_after_it_is_loaded(engine: Any, digits: WavAudio):
    assert engine.post("/v1/models/rapl/selftest/unload")["state"] == "absent"
    with pytest.raises(ServiceError, match="unloaded"):
        await engine.transcribe(digits)
    engine.post("/v1/models/rapl/selftest/load")
    engine.wait_for_state("rapl/selftest", "ready")

    assert (await engine.transcribe(digits)).text == SPOKEN


async def test_a_download_makes_the_real_model_ready_without_a_restart(
    start_engine: Callable[[], Any], preparation: Any, digits: WavAudio
):
    engine = start_engine()
    preparation.model_dir = engine.model_dir
    preparation.hub.bytes_per_s = 1_000_000
    assert engine.wait_for_state("iic/SenseVoiceSmall", "absent").remedy
    process = preparation.start(RAPL_SENSEVOICE_RUNTIME="openvino")
    downloading = engine.wait_for_state("iic/SenseVoiceSmall", "downloading")
    assert downloading.progress is not None
    output, _ = process.communicate(timeout=180)
    assert process.returncode == 0, output
    engine.wait_for_state("iic/SenseVoiceSmall", "ready")

    assert (await engine.transcribe(digits, model="iic/SenseVoiceSmall")).text == SPOKEN
    engine.wait_for_state("rapl/selftest", "ready")

"""Transcriptions through the whole fleet: OpenAI's client, the gateway, preprocess-service and the real engines."""

from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from media import CONTAINERS, as_media, as_wav
from services import DIGITS, SAMPLE_TEXTS, SELFTEST

SENSEVOICE = "iic/SenseVoiceSmall"


@pytest.mark.parametrize("model", SAMPLE_TEXTS)
def test_the_official_sdk_gets_the_samples_text_from_each_model(client, sample, model):
    answer = client.audio.transcriptions.create(file=("sample.wav", sample), model=model)

    assert answer.text == SAMPLE_TEXTS[model]


def test_clients_at_the_same_time_each_get_their_own_models_text(fleet, sample):
    def texts(model: str) -> list[str]:
        return [fleet.transcribe(sample, model).json()["text"] for _ in range(10)]

    with ThreadPoolExecutor() as pool:
        answers = dict(zip(SAMPLE_TEXTS, pool.map(texts, SAMPLE_TEXTS), strict=True))

    assert answers == {model: [words] * 10 for model, words in SAMPLE_TEXTS.items()}


@pytest.mark.parametrize("sample_format", ["s16", "s24", "f32"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
def test_every_form_of_wav_has_the_same_text(fleet, sample_pcm, rate_hz, channels, sample_format):
    answer = fleet.transcribe(as_wav(sample_pcm, rate_hz, channels, sample_format), SELFTEST)

    assert answer.json()["text"] == SAMPLE_TEXTS[SELFTEST]


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_and_codec_has_the_same_text(fleet, sample_pcm, name):
    answer = fleet.transcribe(as_media(sample_pcm, name), SELFTEST)

    assert answer.json()["text"] == SAMPLE_TEXTS[SELFTEST]


def test_an_mp4_with_a_video_track_has_the_same_text_on_mlx(fleet, sample_pcm):
    answer = fleet.transcribe(as_media(sample_pcm, "mp4-with-video"), DIGITS)

    assert answer.json()["text"] == SAMPLE_TEXTS[DIGITS]


def test_verbose_json_has_sensevoices_language_and_emotion(fleet, sample):
    body = fleet.transcribe(sample, SELFTEST, response_format="verbose_json").json()

    [segment] = body["segments"]
    assert (body["language"], segment["language"]) == ("english", "en")
    assert segment["emotion"] == "neutral"
    assert "<|" not in body["text"]


def test_words_have_times_within_the_audio(fleet, sample):
    body = fleet.transcribe(
        sample, SELFTEST, response_format="verbose_json", **{"timestamp_granularities[]": "word"}
    ).json()

    times = [(word["start"], word["end"]) for word in body["words"]]
    assert [word["word"].strip(".") for word in body["words"]] == ["3", "1", "4", "1", "5", "9"]
    assert times == sorted(times)
    assert 0 <= times[0][0] < times[-1][1] <= body["duration"]


@pytest.mark.parametrize("model", SAMPLE_TEXTS)
def test_silence_is_an_empty_text(fleet, model):
    silence = as_wav(bytes(64_000), 16_000, 1, "s16")

    answer = fleet.transcribe(silence, model)

    assert (answer.status_code, answer.json()["text"]) == (200, "")


def test_audio_longer_than_a_segment_is_transcribed_completely(fleet, sample_pcm):
    silence = bytes(32_000)
    answer = fleet.transcribe(as_wav((sample_pcm + silence) * 16, 48_000, 2, "s16"), SELFTEST)

    # A full stop ends what the model takes for a sentence, which is a whole segment here.
    assert answer.json()["text"].replace(".", "").split() == ["3", "1", "4", "1", "5", "9"] * 16


def test_a_file_of_zero_bytes_is_a_400(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.audio.transcriptions.create(file=("probe.wav", bytes(1024)), model=SELFTEST)

    assert caught.value.code == "audio_undecodable"


def test_sensevoice_without_its_weights_is_a_503_while_other_models_work(fleet, client, sample):
    with pytest.raises(openai.InternalServerError) as caught:
        client.audio.transcriptions.create(file=("sample.wav", sample), model=SENSEVOICE)

    assert caught.value.status_code == 503
    assert caught.value.code == "model_not_ready"
    assert "absent" in caught.value.message
    assert "prepare" in caught.value.message
    assert fleet.transcribe(sample, SELFTEST).json()["text"] == SAMPLE_TEXTS[SELFTEST]


def test_without_preprocess_service_a_canonical_wav_is_served_and_anything_else_is_a_clear_503(
    fleet, sample, sample_pcm
):
    fleet.preprocess.stop()
    try:
        canonical = fleet.transcribe(sample, SELFTEST)
        other = fleet.transcribe(as_media(sample_pcm, "mp3"), SELFTEST)
    finally:
        fleet.preprocess.start()

    assert canonical.json()["text"] == SAMPLE_TEXTS[SELFTEST]
    assert other.status_code == 503
    assert "preprocess-service" in other.json()["error"]["message"]


def test_without_the_mlx_process_its_model_is_a_503_with_address_and_remedy(fleet, sample):
    assert fleet.mlx.stop() == 0
    try:
        answer = fleet.transcribe(sample, DIGITS)
    finally:
        fleet.mlx.start()
        fleet.wait_for(DIGITS)

    assert answer.status_code == 503
    for part in ("mlx-service", fleet.mlx.url, "./rapl mlx"):
        assert part in answer.json()["error"]["message"]

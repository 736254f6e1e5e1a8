"""The whole path: an OpenAI client, the gateway, preprocess-service and the real engines."""

from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from media import CONTAINERS, as_media, as_wav

SELFTEST = "rapl/selftest"
DIGITS = "mlx-community/digits-Qwen3-ASR-8bit"
SENSEVOICE = "iic/SenseVoiceSmall"
WORDS = {SELFTEST: "3 1 4 1 5 9.", DIGITS: "three one four one five nine"}
"""The sample's words, as each model writes them."""


@pytest.mark.parametrize("model", WORDS)
def test_the_official_sdk_gets_the_samples_words_from_the_model_that_it_names(client, sample, model):
    answer = client.audio.transcriptions.create(file=("sample.wav", sample), model=model)

    assert answer.text == WORDS[model]


def test_interleaved_clients_each_get_their_own_models_words(fleet, sample):
    def ask(model: str) -> list[str]:
        return [fleet.transcribe(sample, model).json()["text"] for _ in range(10)]

    with ThreadPoolExecutor() as pool:
        answers = dict(zip(WORDS, pool.map(ask, WORDS), strict=True))

    assert answers == {model: [words] * 10 for model, words in WORDS.items()}


@pytest.mark.parametrize("sample_format", ["s16", "s24", "f32"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
def test_every_wav_has_the_same_words(fleet, sample_pcm, rate_hz, channels, sample_format):
    answer = fleet.transcribe(as_wav(sample_pcm, rate_hz, channels, sample_format), SELFTEST)

    assert answer.json()["text"] == WORDS[SELFTEST]


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_and_codec_has_the_same_words(fleet, sample_pcm, name):
    answer = fleet.transcribe(as_media(sample_pcm, name), SELFTEST)

    assert answer.json()["text"] == WORDS[SELFTEST]


def test_an_mp4_with_a_video_track_has_the_same_words_on_mlx(fleet, sample_pcm):
    answer = fleet.transcribe(as_media(sample_pcm, "mp4-with-video"), DIGITS)

    assert answer.json()["text"] == WORDS[DIGITS]


def test_verbose_json_has_what_sensevoice_hears_besides_words(fleet, sample):
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


@pytest.mark.parametrize("model", WORDS)
def test_silence_is_an_empty_text(fleet, model):
    silence = as_wav(bytes(64_000), 16_000, 1, "s16")

    answer = fleet.transcribe(silence, model)

    assert (answer.status_code, answer.json()["text"]) == (200, "")


def test_longer_audio_than_an_engine_takes_at_once_comes_back_whole(fleet, sample_pcm):
    silence = bytes(32_000)
    answer = fleet.transcribe(as_wav((sample_pcm + silence) * 16, 48_000, 2, "s16"), SELFTEST)

    # A full stop ends what the model takes for a sentence, which is a whole segment here.
    assert answer.json()["text"].replace(".", "").split() == ["3", "1", "4", "1", "5", "9"] * 16


def test_a_probe_of_zero_bytes_is_a_400(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.audio.transcriptions.create(file=("probe.wav", bytes(1024)), model=SELFTEST)

    assert caught.value.code == "audio_undecodable"


def test_sensevoice_without_its_weights_says_so_while_other_models_work(fleet, client, sample):
    with pytest.raises(openai.InternalServerError) as caught:
        client.audio.transcriptions.create(file=("sample.wav", sample), model=SENSEVOICE)

    assert caught.value.status_code == 503
    assert caught.value.code == "model_not_ready"
    assert "absent" in caught.value.message
    assert "prepare" in caught.value.message
    assert fleet.transcribe(sample, SELFTEST).json()["text"] == WORDS[SELFTEST]


def test_without_preprocess_service_a_canonical_wav_is_served_and_anything_else_is_a_clear_503(
    fleet, sample, sample_pcm
):
    fleet.preprocess.stop()
    try:
        canonical = fleet.transcribe(sample, SELFTEST)
        other = fleet.transcribe(as_media(sample_pcm, "mp3"), SELFTEST)
    finally:
        fleet.preprocess.start()

    assert canonical.json()["text"] == WORDS[SELFTEST]
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

"""OpenAI's Python SDK, unmodified."""

import io
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from media import as_media
from openai import AsyncOpenAI
from services import DIGITS, SELFTEST


def test_a_path_bytes_and_a_file_without_a_name_have_the_same_text(client, sample, words, model, tmp_path):
    path = tmp_path / '中文 "q".wav'
    path.write_bytes(sample)
    with path.open("rb") as opened:
        files = [path, sample, io.BytesIO(sample), opened, ("speech.mp3", sample, "audio/mpeg")]
        answers = [client.audio.transcriptions.create(file=file, model=model).text for file in files]

    assert answers == [words] * len(files)


@pytest.mark.parametrize("response_format", ["text", "srt", "vtt"])
def test_text_formats_come_back_as_text(client, sample, words, model, response_format):
    answer = client.audio.transcriptions.create(file=sample, model=model, response_format=response_format)

    assert isinstance(answer, str)
    assert words in answer
    assert {"text": answer == f"{words}\n", "srt": answer.endswith("\n\n\n"), "vtt": answer.startswith("WEBVTT\n\n")}[
        response_format
    ]


def test_verbose_json_is_typed(client, sample, words, model):
    answer = client.audio.transcriptions.create(file=sample, model=model, response_format="verbose_json")

    assert (answer.text, answer.language) == (words, "english")
    assert answer.duration == pytest.approx(3.06, abs=0.01)
    assert 0 <= answer.segments[0].start < answer.segments[0].end <= answer.duration


def test_raw_answers_have_a_request_id(client, sample, model):
    raw = client.audio.transcriptions.with_raw_response.create(file=sample, model=model)

    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.parse()._request_id == raw.headers["x-request-id"]


def test_the_deltas_of_a_stream_add_up_to_the_text(client, sample, words, model):
    *deltas, done = client.audio.transcriptions.create(file=sample, model=model, stream=True)

    assert [event.type for event in deltas] == ["transcript.text.delta"] * len(deltas)
    assert "".join(event.delta for event in deltas) == done.text == words


def test_mlx_streams_word_by_word(client, sample):
    stream = client.audio.transcriptions.create(file=sample, model=DIGITS, stream=True)
    *deltas, _ = [event.type for event in stream]

    assert len(deltas) == len(["three", "one", "four", "one", "five", "nine"])


async def test_the_asynchronous_client_gets_the_text_and_a_stream(fleet, sample, words, model):
    async with AsyncOpenAI(base_url=f"{fleet.gateway.url}/v1", api_key="any") as client:
        answer = await client.audio.transcriptions.create(file=sample, model=model)
        stream = await client.audio.transcriptions.create(file=sample, model=model, stream=True)
        events = [event.type async for event in stream]

    assert answer.text == words
    assert events[-1] == "transcript.text.done"


def test_every_option_of_the_sdk_is_accepted(client, sample, words, model):
    answer = client.audio.transcriptions.create(
        file=sample,
        model=model,
        language="en",
        prompt="digits",
        temperature=0.0,
        chunking_strategy={"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 300},
        keywords=["pi"],
        timestamp_granularities=["segment"],
        extra_body={"vad_filter": False},
    )

    assert answer.text == words


@pytest.mark.parametrize(
    ("changes", "error", "code", "param"),
    [
        ({"model": "no/such"}, openai.NotFoundError, "model_not_found", "model"),
        ({"file": bytes(1024)}, openai.BadRequestError, "audio_undecodable", "file"),
        ({"language": "klingon"}, openai.BadRequestError, "invalid_request", "language"),
        ({"language": "de"}, openai.BadRequestError, "unsupported_parameter", "language"),
        ({"response_format": "diarized_json"}, openai.BadRequestError, "unsupported_parameter", "response_format"),
        ({"include": ["speakers"]}, openai.BadRequestError, "invalid_request", "include"),
    ],
)
def test_errors_raise_the_sdks_error_classes(client, sample, changes, error, code, param):
    with pytest.raises(error) as caught:
        client.audio.transcriptions.create(**({"file": sample, "model": SELFTEST} | changes))

    assert (caught.value.code, caught.value.param) == (code, param)
    assert caught.value.request_id


def test_an_error_in_a_stream_before_its_first_text_has_its_status(client):
    with pytest.raises(openai.BadRequestError):
        client.audio.transcriptions.create(file=bytes(1024), model=SELFTEST, stream=True)


def test_the_sdk_retries_while_a_service_restarts(fleet, client, sample_pcm):
    retrying = client.with_options(max_retries=5)
    fleet.preprocess.stop()
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(
            retrying.audio.transcriptions.create, file=("a.mp3", as_media(sample_pcm, "mp3")), model=SELFTEST
        )
        fleet.preprocess.start()

    assert answer.result().text == "3 1 4 1 5 9."


def test_models_are_listed_and_retrieved(client, model):
    assert model in [found.id for found in client.models.list()]
    assert client.models.retrieve(model).id == model

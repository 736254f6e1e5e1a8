"""Translations by a Whisper with random weights: the text is noise, the answers are complete."""

import subprocess
import sys

import httpx
import jsonschema
import openai
import pytest
from openai import OpenAI
from openai_schemas import SEGMENT, STRING, array, const, record
from services import ROOT, ServiceProcess, until

WHISPER = "tests/whisper-random"
MAKE = ROOT / "tests" / "models" / "make_random_whisper.py"
# Source: CreateTranslationResponseJson and CreateTranslationResponseVerboseJson in OpenAI's openapi.yaml.
TRANSLATION = record({"text": STRING})
VERBOSE_TRANSLATION = record(
    {"task": const("translate"), "language": const("english"), "duration": {"type": "number"}, "text": STRING},
    {"segments": array(SEGMENT)},
)


@pytest.fixture(scope="module")
def url(mlx_python, tmp_path_factory):
    """A gateway in front of mlx-service with this Whisper."""
    folder = tmp_path_factory.mktemp("whisper")
    subprocess.run([mlx_python, MAKE, folder / "model"], check=True, timeout=120)
    models = f"{WHISPER}={folder / 'model'}"
    with (
        ServiceProcess(mlx_python, "rapl_mlx", "RAPL_MLX_PORT", folder / "mlx.log", RAPL_MLX_MODELS=models) as mlx,
        ServiceProcess(sys.executable, "rapl_gateway", "RAPL_PORT", folder / "log", RAPL_MLX_URL=mlx.url) as gateway,
    ):
        until("Whisper is ready", lambda: found(gateway.url).get("state") == "ready")
        yield gateway.url


def found(url: str) -> dict:
    return httpx.get(f"{url}/v1/models/{WHISPER}").json()


def translate(url: str, sample: bytes, **fields: str) -> httpx.Response:
    # With a temperature above 0 Whisper decodes its noise once and not six times.
    fields = {"model": WHISPER, "temperature": "0.4", **fields}
    return httpx.post(f"{url}/v1/audio/translations", data=fields, files={"file": sample}, timeout=120)


def test_whisper_has_the_capability_translation(url):
    assert found(url)["capabilities"]["translation"] is True


def test_json_has_only_the_text(url, sample):
    answer = translate(url, sample)

    assert answer.status_code == 200
    jsonschema.validate(answer.json(), TRANSLATION)
    assert list(answer.json()) == ["text"]


def test_verbose_json_has_the_task_and_the_language(url, sample):
    answer = translate(url, sample, response_format="verbose_json")

    jsonschema.validate(answer.json(), VERBOSE_TRANSLATION)
    assert answer.json()["duration"] == pytest.approx(3.06, abs=0.01)


@pytest.mark.parametrize("response_format", ["text", "srt", "vtt"])
def test_text_formats_are_plain_text(url, sample, response_format):
    answer = translate(url, sample, response_format=response_format)

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_the_sdk_gets_a_translation(url, sample):
    with OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
        assert isinstance(client.audio.translations.create(file=sample, model=WHISPER, temperature=0.4).text, str)


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_a_model_that_cannot_translate_is_a_400(client, sample, model):
    with pytest.raises(openai.BadRequestError, match="cannot translate"):
        client.audio.translations.create(file=sample, model=model)

"""The calls of openai-python, openai-node, the AI SDK and Dify for `gpt-4o-transcribe-diarize`, unmodified.

The engines are real. speaker-service is a stand-in: it says that a second person begins in the middle of the sample.
"""

import base64
import sys
from collections.abc import Iterator

import httpx
import jsonschema
import pytest
from openai import OpenAI
from openai.types.audio import TranscriptionDiarized
from openai_schemas import DIARIZED_TRANSCRIPTION
from services import DIGITS, SAMPLE, SELFTEST, ServiceProcess
from speaker_stand_in import speaker_stand_in

MODEL = "gpt-4o-transcribe-diarize"
MIDDLE_S = 1.5
CALL = {"model": MODEL, "response_format": "diarized_json", "chunking_strategy": "auto"}


@pytest.fixture(scope="module")
def gateway(fleet, tmp_path_factory) -> Iterator[ServiceProcess]:
    """A gateway with speakers, whose default model is the self-test model."""
    environ = {
        "RAPL_DEFAULT_MODEL": SELFTEST,
        "RAPL_SENSEVOICE_URL": fleet.sensevoice.url,
        "RAPL_PREPROCESS_URL": fleet.preprocess.url,
        "RAPL_MLX_URL": fleet.mlx.url,
    }
    log = tmp_path_factory.mktemp("speakers") / "log"
    turns = (0.0, MIDDLE_S, 0), (MIDDLE_S, 3.1, 1)
    with (
        speaker_stand_in(*turns, reference_of=1) as speakers,
        ServiceProcess(
            sys.executable, "rapl_gateway", "RAPL_PORT", log, RAPL_SPEAKERS_URL=speakers.url, **environ
        ) as gateway,
    ):
        yield gateway


@pytest.fixture(scope="module")
def client(gateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{gateway.url}/v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def results(gateway, node):
    """The results of openai-node and of the AI SDK."""
    return node("speakers.mjs", f"{gateway.url}/v1", SAMPLE)


def assert_two_people(segments: list[dict], text: str) -> None:
    assert [each["speaker"] for each in segments] == ["A", "B"]
    assert " ".join(each["text"] for each in segments) == text
    first, second = segments
    assert 0 <= first["start"] < first["end"] <= second["end"]
    assert first["end"] == pytest.approx(MIDDLE_S, abs=0.5)
    assert second["start"] == pytest.approx(MIDDLE_S, abs=0.5)


def test_openai_python_gets_its_own_type(client):
    answer = client.audio.transcriptions.create(file=SAMPLE, **CALL)

    assert isinstance(answer, TranscriptionDiarized)
    assert answer.text == "3 1 4 1 5 9."
    assert_two_people([each.model_dump() for each in answer.segments], answer.text)


def test_openai_python_gets_the_speakers_at_the_end_of_a_stream(client):
    *deltas, first, second, done = client.audio.transcriptions.create(file=SAMPLE, stream=True, **CALL)

    assert "".join(event.delta for event in deltas) == done.text == "3 1 4 1 5 9."
    assert_two_people([first.model_dump(), second.model_dump()], done.text)


def test_a_model_without_the_times_of_words_gets_the_audio_of_each_person_alone(client):
    answer = client.audio.transcriptions.create(file=SAMPLE, **(CALL | {"model": DIGITS}))

    assert_two_people([each.model_dump() for each in answer.segments], answer.text)


def test_a_known_speaker_has_its_name(client, sample):
    clip = "data:audio/wav;base64," + base64.b64encode(sample).decode()
    answer = client.audio.transcriptions.create(
        file=SAMPLE, known_speaker_names=["agent"], known_speaker_references=[clip], **CALL
    )

    assert [each.speaker for each in answer.segments] == ["A", "agent"]


def test_difys_call_for_a_text(client, sample):
    assert client.audio.transcriptions.create(file=("audio.mp3", sample), **CALL).text == "3 1 4 1 5 9."


def test_the_call_of_difys_tool_for_segments(client, sample):
    answer = client.audio.transcriptions.create(file=("chunk.wav", sample), timestamp_granularities=["segment"], **CALL)

    assert_two_people([each.model_dump() for each in answer.segments], answer.text)


def test_openai_node_gets_segments_and_a_known_speaker(results):
    assert_two_people(results["node"]["segments"], results["node"]["text"])
    assert [each["speaker"] for each in results["known"]["segments"]] == ["A", "agent"]


def test_openai_node_gets_the_events_of_a_stream(results):
    *deltas, first, second, done = results["events"]

    assert {event["type"] for event in deltas} == {"transcript.text.delta"}
    assert_two_people([first, second], done["text"])


def test_the_ai_sdk_gets_segments_and_speakers(results):
    answer = results["ai"]

    assert answer["text"] == "3 1 4 1 5 9."
    assert [each["speaker"] for each in answer["speakers"]] == ["A", "B"]
    assert " ".join(each["text"] for each in answer["segments"]) == answer["text"]
    assert answer["durationInSeconds"] == pytest.approx(3.06, abs=0.01)
    assert answer["warnings"] == []


def test_the_answer_holds_the_published_schema(gateway, sample):
    answer = httpx.post(
        f"{gateway.url}/v1/audio/transcriptions", data=CALL, files={"file": ("speech.wav", sample)}, timeout=60
    )

    jsonschema.validate(answer.json(), DIARIZED_TRANSCRIPTION)
    assert answer.json()["segments"]

"""An hour of speech has every word, in order and at its time; an engine's faults are corrected or reported."""

import re
import time

import httpx
import pytest
from openai import OpenAI
from rapl_gateway.app import create_app
from rapl_gateway.settings import Settings
from rapl_protocol.audio import WavAudio
from rapl_protocol.testing import FakeTranscriber
from rapl_service.calls.call import Service, open_http
from rapl_service.calls.clients import TranscriberClient
from rapl_service.engine_app import transcriber_app
from rapl_service.testing import served
from recordings import SHORT_PAUSES_S, Recording, Utterance, recording, spoken_digits
from services import SELFTEST, Fleet, until

HOUR_S = 3600.0
MINUTES_S = 240.0
TIMES_WITHIN_S = 0.3
SECOND_LOOK_S = 16.0
"""Shorter audio is half of a segment, transcribed again."""
EVERY = 4
"""Every fourth segment has the fault."""


@pytest.fixture(scope="module")
def recognized_utterances(fleet: Fleet) -> list[Utterance]:
    """Utterances that the engine transcribes correctly one at a time."""

    def text(utterance: Utterance) -> str:
        wav = WavAudio(bytes(8_000) + utterance.pcm + bytes(8_000)).to_wav()
        return fleet.transcribe(wav, SELFTEST).json()["text"].rstrip(".")

    right = [utterance for utterance in spoken_digits(40) if text(utterance) == utterance.text]
    assert len(right) > 30
    return right


@pytest.fixture(scope="module")
def hour(recognized_utterances: list[Utterance]) -> Recording:
    return recording(recognized_utterances, HOUR_S)


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def spoken_words(recorded: Recording) -> list[str]:
    return [word for text, _, _ in recorded.utterances for word in text.split()]


def test_every_utterance_of_an_hour_appears_in_order_and_at_its_time(fleet: Fleet, hour: Recording):
    url = f"{fleet.gateway.url}/v1/audio/transcriptions"
    form = {"model": SELFTEST, "response_format": "verbose_json"}
    answer = httpx.post(url, data=form, files={"file": ("hour.m4a", hour.m4a)}, timeout=1200).json()

    assert words(answer["text"]) == spoken_words(hour)
    assert answer["coverage"] == 1.0
    assert "problems" not in answer
    assert answer["duration"] == pytest.approx(hour.duration_s, abs=0.2)
    starts, ends = ([segment[edge] for segment in answer["segments"]] for edge in ("start", "end"))
    assert starts == sorted(starts)
    for _, start_s, end_s in hour.utterances:
        assert min(abs(start - start_s) for start in starts) <= TIMES_WITHIN_S
        assert min(abs(end - end_s) for end in ends) <= TIMES_WITHIN_S


def test_a_stream_delivers_the_words_during_the_transcription(fleet: Fleet, client: OpenAI, hour: Recording):
    events = client.audio.transcriptions.create(file=("hour.m4a", hour.m4a), model=SELFTEST, stream=True, timeout=1200)

    deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
    assert words("".join(deltas)) == spoken_words(hour)
    assert len(deltas) > HOUR_S / 30


def test_after_the_client_disconnects_the_engine_finishes_its_started_segments_only(fleet: Fleet, hour: Recording):
    def segments_done() -> int:
        return fleet.sensevoice.log.read_text().count("request_id=left-behind ")

    url = f"{fleet.gateway.url}/v1/audio/transcriptions"
    form, headers = {"model": SELFTEST, "stream": "true"}, {"x-request-id": "left-behind"}
    with httpx.stream("POST", url, data=form, files={"file": hour.m4a}, headers=headers, timeout=120) as answer:
        next(answer.iter_lines())
    until("the job is cancelled", lambda: httpx.get(f"{fleet.gateway.url}/v1/progress/left-behind").status_code == 404)
    until("the engine computes no more of its segments", lambda: _is_steady(segments_done))

    assert 0 < segments_done() < HOUR_S / 30 / 2


def _is_steady(count, for_s: float = 3.0) -> bool:
    before = count()
    time.sleep(for_s)
    return count() == before


class Faulty(FakeTranscriber):
    """The real engine with a fault in every fourth segment, as engines have them in practice."""

    def __init__(self, engine: TranscriberClient, fault: str) -> None:
        super().__init__(SELFTEST)
        self._engine = engine
        self._fault = fault
        self._segments = 0
        self._before = ""

    async def transcribe(self, audio, options, on_text=None):
        transcript = await self._engine.transcribe(audio, options, deadline_s=120)
        self.calls.append((audio, options))
        if audio.duration_s < SECOND_LOOK_S:
            return transcript
        self._segments += 1
        text = transcript.text if self._segments % EVERY else self._with_fault(transcript.text)
        self._before = transcript.text
        return transcript.model_copy(update={"text": text, "segments": ()})

    def _with_fault(self, text: str) -> str:
        match self._fault:
            case "drops":
                return ""
            case "truncates":
                return text[: len(text) // 3]
            case "writes twice":
                return f"{text} {text}"
            case "repeats the one before":
                return self._before
            case _:
                return " ".join([text.split()[0]] * 60)


@pytest.fixture(scope="module")
def minutes(recognized_utterances: list[Utterance]) -> Recording:
    return recording(recognized_utterances, MINUTES_S, seed=2, pauses_s=SHORT_PAUSES_S)


@pytest.mark.parametrize("fault", ["drops", "truncates", "loops", "writes twice", "repeats the one before"])
async def test_a_fault_in_every_fourth_segment_is_corrected_or_reported(
    fleet: Fleet, minutes: Recording, fault: str, tmp_path
):
    async with open_http() as http:
        faulty = Faulty(TranscriberClient(http, Service("sensevoice-service", fleet.sensevoice.url, "")), fault)
        async with served(transcriber_app(faulty)) as engine:
            settings = Settings(
                sensevoice_url=engine, mlx_url=fleet.mlx.url, preprocess_url=fleet.preprocess.url,
                root=tmp_path,
            )  # fmt: skip
            async with served(create_app(settings)) as gateway, httpx.AsyncClient(timeout=600) as client:
                form = {"model": SELFTEST, "response_format": "verbose_json"}
                files = {"file": minutes.m4a}
                answer = await client.post(f"{gateway}/v1/audio/transcriptions", data=form, files=files)

    is_complete = words(answer.json()["text"]) == spoken_words(minutes)
    assert is_complete or answer.json()["problems"]
    assert len(faulty.calls) > MINUTES_S / 30 + 2  # segments were transcribed again

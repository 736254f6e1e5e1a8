"""An hour of speech: every word, in its place, at its time; what goes wrong on the way is said."""

import re
import time

import httpx
import pytest
from conftest import SELFTEST, Fleet
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
from services import until

HOUR_S = 3600.0
MINUTES_S = 240.0
TIMES_WITHIN_S = 0.3
SECOND_LOOK_S = 16.0
"""Shorter pieces are halves of segments."""
EVERY = 4
"""The fault is in every so many'th segment."""


@pytest.fixture(scope="module")
def heard_alone(fleet: Fleet) -> list[Utterance]:
    """What the engine gets right alone."""

    def text(utterance: Utterance) -> str:
        wav = WavAudio(bytes(8_000) + utterance.pcm + bytes(8_000)).to_wav()
        return fleet.transcribe(wav, SELFTEST).json()["text"].rstrip(".")

    right = [utterance for utterance in spoken_digits(40) if text(utterance) == utterance.text]
    assert len(right) > 30
    return right


@pytest.fixture(scope="module")
def hour(heard_alone: list[Utterance]) -> Recording:
    return recording(heard_alone, HOUR_S)


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def said(recorded: Recording) -> list[str]:
    return [word for text, _, _ in recorded.said for word in text.split()]


def test_every_utterance_of_an_hour_appears_in_order_and_at_its_time(fleet: Fleet, hour: Recording):
    url = f"{fleet.gateway.url}/v1/audio/transcriptions"
    form = {"model": SELFTEST, "response_format": "verbose_json"}
    answer = httpx.post(url, data=form, files={"file": ("hour.m4a", hour.m4a)}, timeout=1200).json()

    assert words(answer["text"]) == said(hour)
    assert answer["coverage"] == 1.0
    assert "problems" not in answer
    assert answer["duration"] == pytest.approx(hour.duration_s, abs=0.2)
    starts, ends = ([segment[edge] for segment in answer["segments"]] for edge in ("start", "end"))
    assert starts == sorted(starts)
    for _, start_s, end_s in hour.said:
        assert min(abs(start - start_s) for start in starts) <= TIMES_WITHIN_S
        assert min(abs(end - end_s) for end in ends) <= TIMES_WITHIN_S


def test_its_words_come_as_they_are_heard(fleet: Fleet, client: OpenAI, hour: Recording):
    events = client.audio.transcriptions.create(file=("hour.m4a", hour.m4a), model=SELFTEST, stream=True, timeout=1200)

    deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
    assert words("".join(deltas)) == said(hour)
    assert len(deltas) > HOUR_S / 30


def test_when_the_client_goes_away_its_engine_works_on_for_at_most_what_it_has_begun(fleet: Fleet, hour: Recording):
    def segments_done() -> int:
        return fleet.sensevoice.log.read_text().count("request_id=left-behind ")

    url = f"{fleet.gateway.url}/v1/audio/transcriptions"
    form, headers = {"model": SELFTEST, "stream": "true"}, {"x-request-id": "left-behind"}
    with httpx.stream("POST", url, data=form, files={"file": hour.m4a}, headers=headers, timeout=120) as answer:
        next(answer.iter_lines())
    until("the job is given up", lambda: httpx.get(f"{fleet.gateway.url}/v1/progress/left-behind").status_code == 404)
    until("nothing of it is at work", lambda: _is_steady(segments_done))

    assert 0 < segments_done() < HOUR_S / 30 / 2


def _is_steady(count, for_s: float = 3.0) -> bool:
    before = count()
    time.sleep(for_s)
    return count() == before


class Faulty(FakeTranscriber):
    """The real engine, but for a fault in every fourth segment: fakes the failures that engines have in the field."""

    def __init__(self, engine: TranscriberClient, fault: str) -> None:
        super().__init__(SELFTEST)
        self._engine = engine
        self._fault = fault
        self._segments = 0
        self._before = ""

    async def transcribe(self, audio, options, on_text=None):
        heard = await self._engine.transcribe(audio, options, deadline_s=120)
        self.calls.append((audio, options))
        if audio.duration_s < SECOND_LOOK_S:
            return heard
        self._segments += 1
        text = heard.text if self._segments % EVERY else self._spoilt(heard.text)
        self._before = heard.text
        return heard.model_copy(update={"text": text, "segments": ()})

    def _spoilt(self, text: str) -> str:
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
def minutes(heard_alone: list[Utterance]) -> Recording:
    return recording(heard_alone, MINUTES_S, seed=2, pauses_s=SHORT_PAUSES_S)


@pytest.mark.parametrize("fault", ["drops", "truncates", "loops", "writes twice", "repeats the one before"])
async def test_a_fault_in_every_fourth_segment_is_never_a_silent_success(
    fleet: Fleet, minutes: Recording, fault: str, tmp_path
):
    async with open_http() as http:
        faulty = Faulty(TranscriberClient(http, Service("sensevoice-service", fleet.sensevoice.url, "")), fault)
        async with served(transcriber_app(faulty)) as engine:
            settings = Settings(
                sensevoice_url=engine, mlx_url=fleet.mlx.url, preprocess_url=fleet.preprocess.url,
                config=tmp_path / "no-rapl.toml",
            )  # fmt: skip
            async with served(create_app(settings)) as gateway, httpx.AsyncClient(timeout=600) as client:
                form = {"model": SELFTEST, "response_format": "verbose_json"}
                files = {"file": minutes.m4a}
                answer = await client.post(f"{gateway}/v1/audio/transcriptions", data=form, files=files)

    is_whole = words(answer.json()["text"]) == said(minutes)
    assert is_whole or answer.json()["problems"]
    assert len(faulty.calls) > MINUTES_S / 30 + 2  # it looked again

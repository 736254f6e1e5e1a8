"""The gateway's /metrics: what is counted, who may read it, and that clients cannot make it grow."""

from typing import ClassVar

import aiohttp
import httpx
import pytest
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.prepared import Damage, MediaReport
from rapl_protocol.testing import FakeTranscriber, make_tone
from rapl_service.telemetry.catalog import LABELS, MAX_MODELS, METRICS, OTHER
from rapl_service.telemetry.metrics import ModelLabels
from rapl_service.testing import until
from scrapes import names, scraped, value

SECRET = "zanzibar-marker"
KEY = "the-key-of-this-server"
ROUTE = "/v1/audio/transcriptions"
PATHS = ("/", "/v1/models/", "/v1/progress/")


async def test_a_request_is_counted_by_route_model_status_and_code(start):
    fleet = await start(FakeTranscriber("iic/SenseVoiceSmall", text="a b"))
    await fleet.transcribe(make_tone(2.0).to_wav())
    await fleet.transcribe(b"no media")

    samples = await scraped(fleet.url)
    labels = {"route": ROUTE, "model": "iic/SenseVoiceSmall"}
    assert value(samples, "rapl_requests_total", **labels, status="200", code="") == 1
    assert value(samples, "rapl_requests_total", **labels, status="400", code="audio_undecodable") == 1
    assert value(samples, "rapl_audio_seconds_total", model="iic/SenseVoiceSmall") == 2.0
    assert value(samples, "rapl_request_seconds_count", route=ROUTE) == 2
    assert value(samples, "rapl_real_time_factor_count") == 1


async def test_the_stages_are_counted_and_add_up_to_the_time_of_the_requests(start):
    fleet = await start(FakeTranscriber("iic/SenseVoiceSmall", delay_s=0.2))
    await fleet.transcribe(stream="true")
    await until(lambda: fleet.sensevoice.calls)

    samples = await scraped(fleet.url)
    whole_s = value(samples, "rapl_request_seconds_sum", route=ROUTE)
    assert value(samples, "rapl_stage_seconds_sum") == pytest.approx(whole_s, rel=0.05)
    assert value(samples, "rapl_stage_seconds_sum", stage="infer") >= 0.2


async def test_what_a_backend_does_is_read_when_it_is_asked_for(start, tmp_path):
    failure = ServiceError(ErrorCode.BACKEND_UNAVAILABLE, "no")
    entry = '[models."iic/SenseVoiceSmall"]\nbackend = "sensevoice"\nfallback = ["second"]'
    (tmp_path / "rapl.toml").write_text(f'{entry}\n[models.second]\nbackend = "mlx"\nid = "local/model"')
    fleet = await start(FakeTranscriber("iic/SenseVoiceSmall", fails_with=failure), restart_wait_s=0.1)
    await fleet.transcribe()

    samples = await scraped(fleet.url)
    assert value(samples, "rapl_retries_total", backend="sensevoice", code="backend_unavailable") == 1
    assert value(samples, "rapl_backend_failures_total", backend="sensevoice", code="backend_unavailable") == 2
    assert value(samples, "rapl_fallbacks_total", kind="other_model") == 1
    assert value(samples, "rapl_backend_audio_seconds_total", backend="mlx") == 0.5
    assert value(samples, "rapl_queue_audio_seconds", backend="mlx") == 0
    assert value(samples, "rapl_replicas", backend="mlx") == 1


async def test_doubts_problems_and_damage_are_counted(start):
    fleet = await start(FakeTranscriber("iic/SenseVoiceSmall", text=""))
    fleet.preprocess.media = MediaReport(damage=(Damage(start_s=1.0, end_s=3.0, reason="undecodable"),))
    await fleet.transcribe(b"SPEECH:1")

    samples = await scraped(fleet.url)
    assert value(samples, "rapl_retried_places_total", reason="no_text") == 1
    assert value(samples, "rapl_problems_total", reason="undecodable") == 1
    assert value(samples, "rapl_damaged_audio_seconds_total") == 2.0
    assert value(samples, "rapl_coverage_bucket", le="0.5") == 1


async def test_a_fallback_without_preprocess_service_is_counted(start):
    fleet = await start(preprocess_url="http://127.0.0.1:9")
    await fleet.transcribe()

    assert value(await scraped(fleet.url), "rapl_fallbacks_total", kind="no_speech_check") == 1


async def test_10000_names_of_models_and_paths_do_not_make_the_metrics_grow(start):
    fleet = await start()
    async with aiohttp.ClientSession(fleet.url) as http:

        async def send(name: str) -> None:
            form = aiohttp.FormData({"model": f"mlx-community/{name}"})
            form.add_field("file", b"no media", filename="a.wav")
            for call in (http.post(ROUTE, data=form), *(http.get(path + name) for path in PATHS)):
                async with call as answer:
                    await answer.read()

        await send("first")
        before = names(await scraped(fleet.url))
        for number in range(2_500):
            await send(f"{SECRET}-{number}")

    samples = await scraped(fleet.url)
    own = {name for name in names(samples) - before if dict(name[1:]).get("route") != "/metrics"}
    assert own == set()
    assert value(samples, "rapl_requests_total", route=ROUTE, model=OTHER) == 2_501
    assert SECRET not in str(samples)


async def test_a_key_a_file_name_and_a_prompt_are_in_no_metric(start):
    fleet = await start(FakeTranscriber("iic/SenseVoiceSmall", text=SECRET), api_keys=(KEY,))
    files = {"file": (f"{SECRET}.wav", make_tone(0.5).to_wav())}
    for key in (KEY, SECRET):
        headers = {"authorization": f"Bearer {key}"}
        for model in ("", SECRET):
            await fleet.http.post(ROUTE, data={"prompt": SECRET, "model": model}, files=files, headers=headers)

    async with httpx.AsyncClient() as http:
        text = (await http.get(f"{fleet.url}/metrics")).text
    assert 'status="404"' in text
    assert SECRET not in text
    assert KEY not in text


class TestWhoMayRead:
    """`RAPL_METRICS`. The tests' clients are on this machine; a proxy's header makes them remote."""

    REMOTE: ClassVar = {"x-forwarded-for": "203.0.113.9"}

    async def status(self, fleet, **headers: str) -> int:
        return (await fleet.http.get("/metrics", headers=headers)).status_code

    async def test_by_default_programs_of_this_machine(self, start):
        fleet = await start()

        assert await self.status(fleet) == 200
        assert await self.status(fleet, **self.REMOTE) == 403
        assert await self.status(fleet, host="gateway.example") == 403
        assert await self.status(fleet, origin="app://page") == 403

    async def test_and_clients_with_a_key(self, start):
        fleet = await start(api_keys=(KEY,))

        assert await self.status(fleet) == 200
        assert await self.status(fleet, **self.REMOTE) == 401
        assert await self.status(fleet, **self.REMOTE, authorization="Bearer wrong") == 401
        assert await self.status(fleet, **self.REMOTE, authorization=f"Bearer {KEY}") == 200

    async def test_with_clients_everyone_who_may_use_the_service(self, start):
        fleet, with_keys = await start(RAPL_METRICS="clients"), await start(RAPL_METRICS="clients", api_keys=(KEY,))

        assert await self.status(fleet, **self.REMOTE) == 200
        assert await self.status(with_keys) == 401
        assert await self.status(with_keys, **self.REMOTE, authorization=f"Bearer {KEY}") == 200

    async def test_with_off_there_is_no_such_route(self, start):
        fleet = await start(RAPL_METRICS="off")

        assert await self.status(fleet) == 404
        assert (await fleet.transcribe()).status_code == 200


def test_every_label_has_a_meaning():
    assert {label for spec in METRICS for label in spec.labels} == LABELS.keys()


def test_the_number_of_models_is_limited_and_unknown_ones_are_other():
    labels = ModelLabels(lambda model: model.startswith("known"))

    found = {labels.label(f"known-{number}") for number in range(10_000)}
    assert found == {OTHER, *(f"known-{number}" for number in range(MAX_MODELS))}
    assert labels.label("unknown") == OTHER
    assert labels.label(None) == ""

"""An engine's /metrics: the states of its models and their figures."""

import httpx
import pytest
from rapl_protocol.models import ModelInfo, ModelState, Progress
from rapl_protocol.testing import FakeTranscriber
from rapl_service.engine_app import transcriber_app
from rapl_service.telemetry.catalog import MAX_MODELS
from rapl_service.testing import served


class ReportingEngine(FakeTranscriber):
    """An engine that reports what a test says."""

    def __init__(self, *reported: ModelInfo) -> None:
        super().__init__()
        self._reported = list(reported)

    def models(self) -> list[ModelInfo]:
        return self._reported


async def metrics_of(engine: FakeTranscriber, **options: str) -> httpx.Response:
    async with served(transcriber_app(engine, **options)) as url, httpx.AsyncClient() as http:
        return await http.get(f"{url}/metrics")


async def test_the_state_and_the_figures_of_each_model_are_reported():
    loaded = ModelInfo(id="a/loaded", state=ModelState.READY, load_s=1.5, memory_bytes=7, process_ends=2)
    progress = Progress(done_bytes=3, total_bytes=4)
    downloading = ModelInfo(id="a/downloading", state=ModelState.DOWNLOADING, progress=progress)

    lines = (await metrics_of(ReportingEngine(loaded, downloading))).text.splitlines()
    assert 'rapl_model_state{model="a/loaded",state="ready"} 1.0' in lines
    assert 'rapl_model_state{model="a/loaded",state="failed"} 0.0' in lines
    assert 'rapl_model_load_seconds{model="a/loaded"} 1.5' in lines
    assert 'rapl_model_memory_bytes{model="a/loaded"} 7.0' in lines
    assert 'rapl_model_process_ends_total{model="a/loaded"} 2.0' in lines
    assert 'rapl_model_downloaded_bytes{model="a/downloading"} 3.0' in lines
    assert 'rapl_model_download_bytes{model="a/downloading"} 4.0' in lines
    assert not any("load_seconds" in line and "downloading" in line for line in lines)


async def test_no_more_models_are_reported_than_have_a_label():
    models = [ModelInfo(id=f"a/{number}", state=ModelState.ABSENT) for number in range(10 * MAX_MODELS)]

    lines = (await metrics_of(ReportingEngine(*models))).text.splitlines()
    assert sum(line.startswith("rapl_model_state{") for line in lines) == MAX_MODELS * len(ModelState)


@pytest.mark.parametrize("accept", ["text/plain", "application/openmetrics-text; version=1.0.0"])
async def test_the_format_is_the_one_that_the_reader_asks_for(accept):
    async with served(transcriber_app(FakeTranscriber())) as url, httpx.AsyncClient() as http:
        answer = await http.get(f"{url}/metrics", headers={"accept": accept})

    assert answer.headers["content-type"].startswith(accept.split(";")[0])
    assert answer.text.endswith("# EOF\n") == accept.startswith("application")


async def test_an_engine_can_have_no_metrics():
    assert (await metrics_of(FakeTranscriber(), metrics_readers="off")).status_code == 404

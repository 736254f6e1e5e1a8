"""Prometheus beside the services, as docker-compose.metrics.yml starts it."""

import json
import shutil
from collections.abc import Iterator

import httpx
import pytest
from containers import BASE_IMAGE, PORT, PROJECT, changed, compose, docker
from prometheus_queries import query, rule_healths, scraped_jobs
from realtime_turn import speak_turn
from services import SELFTEST, free_port, until

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(not shutil.which("prometheus"), reason="needs the Debian package prometheus"),
]
OVERLAYS = ("docker-compose.metrics.yml",)
KEY = "a-key-for-prometheus"
SCRAPED_S = 90.0
"""Prometheus scrapes every 15 s."""
DOCKERFILE = f"""FROM {BASE_IMAGE}
COPY prometheus /bin/prometheus
RUN mkdir /prometheus && chown nobody /prometheus
USER nobody
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The image that the file names. A machine that does not have it gets one of Debian's Prometheus for the test."""
    config = json.loads(compose("--profile", "metrics", "config", "--format", "json", overlays=OVERLAYS))
    name = config["services"]["prometheus"]["image"]
    if docker("images", "--quiet", name):
        yield
        return
    folder = tmp_path_factory.mktemp("prometheus")
    shutil.copy(shutil.which("prometheus") or "", folder / "prometheus")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    docker("build", "--tag", name, str(folder), limit_s=300)
    yield
    docker("rmi", name)


@pytest.fixture(params=["", KEY], ids=["without keys", "with a key"])
def prometheus(request: pytest.FixtureRequest, client: object, image: None) -> Iterator[str]:
    """Yields the URL of Prometheus."""
    port = free_port()
    environ = {"RAPL_API_KEYS": request.param, "PROMETHEUS_RAPL_KEY": request.param}
    with changed(OVERLAYS, COMPOSE_PROFILES="metrics", PROMETHEUS_PORT=str(port), **environ):
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            compose("rm", "--force", "--stop", "prometheus", overlays=OVERLAYS)
            docker("volume", "rm", f"{PROJECT}_prometheus")


def test_prometheus_scrapes_every_container_and_has_the_figures_of_files_and_realtime(prometheus: str, sample: bytes):
    gateway, headers = f"http://127.0.0.1:{PORT}", {"authorization": f"Bearer {KEY}"}
    until("all are scraped", lambda: len(scraped_jobs(prometheus)) == 3, SCRAPED_S)
    assert scraped_jobs(prometheus) == {"gateway", "preprocess-service", "sensevoice-service"}

    url, form = f"{gateway}/v1/audio/transcriptions", {"model": SELFTEST}
    httpx.post(url, data=form, files={"file": sample}, headers=headers, timeout=60).raise_for_status()
    assert speak_turn(gateway, SELFTEST, **headers)["type"].endswith(".completed")
    for metric in ("rapl_coverage_count", "rapl_realtime_turns_total", "rapl_live_sessions", "rapl_model_state"):
        until(f"{metric} is scraped", lambda metric=metric: query(prometheus, f"{metric} >= 0") != [], SCRAPED_S)
    assert rule_healths(prometheus) == {"ok"}
    assert '"message": "turn"' in compose("logs", "gateway", overlays=OVERLAYS)  # in containers the log is JSON

"""Prometheus of Debian scrapes all services under a mixed load: the alerts, the dashboard and the stages' times."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import httpx
import pytest
from media import as_media
from prometheus_queries import query, rule_healths, scraped_jobs
from rapl_protocol.audio import WavAudio
from rapl_service.telemetry.catalog import METRICS
from realtime_turn import speak_turn
from services import DIGITS, ROOT, SAMPLE, SELFTEST, Fleet, free_port, until

PROMETHEUS = ROOT / "deploy" / "prometheus"
ROUNDS = 4
REALTIME = (SELFTEST, SELFTEST, DIGITS)
STAGES = ("receive", "prepare", "queue", "infer", "render", "send", "gateway")

pytestmark = pytest.mark.skipif(not shutil.which("promtool"), reason="needs the Debian package prometheus")


def promtool(*arguments: str, text: str | None = None) -> str:
    ended = subprocess.run(
        ["promtool", *arguments], cwd=PROMETHEUS, input=text, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def test_the_alerts_pass_their_tests():
    assert "SUCCESS" in promtool("check", "rules", "rules.yml")
    assert "SUCCESS" in promtool("test", "rules", "rules.test.yml")


@pytest.fixture(scope="module")
def targets(fleet: Fleet) -> dict[str, str]:
    """The addresses of the services, by their jobs in deploy/prometheus/prometheus.yml."""
    names = {"gateway": "gateway", "preprocess": "preprocess-service", "sensevoice": "sensevoice-service"}
    names["mlx"] = "mlx-service"
    return {names[name]: service.url.removeprefix("http://") for name, service in fleet.services.items()}


@pytest.fixture(scope="module")
def log_before(fleet: Fleet) -> int:
    """How many bytes of the gateway's log are of other tests, which share the fleet."""
    return fleet.gateway.log.stat().st_size


@pytest.fixture(scope="module")
def loaded(
    fleet: Fleet, targets: dict[str, str], log_before: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Yields the URL of a Prometheus that has scraped the services while they worked."""
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    jobs = [{"job_name": job, "static_configs": [{"targets": [address]}]} for job, address in targets.items()]
    config = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "scrape_configs": jobs}
    config["rule_files"] = [str(PROMETHEUS / "rules.yml")]
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            until("Prometheus sees every service", lambda: scraped_jobs(url) == set(targets), 30)
            send_mixed_load(fleet)
            scraped_at = scrapes(url)
            until("Prometheus has scraped twice more", lambda: scrapes(url) >= scraped_at + 2, 30)
            yield url
        finally:
            process.terminate()


def scrapes(url: str) -> int:
    [count] = query(url, 'sum(count_over_time(up{job="gateway"}[10m]))')
    return int(count["value"][1])


def send_mixed_load(fleet: Fleet) -> None:
    """Sends clips, compressed files, streams, errors and realtime turns to both engines, several at once."""
    wav = SAMPLE.read_bytes()
    compressed = as_media(bytes(WavAudio.from_wav(wav).pcm), "ogg-opus")
    cases = [(wav, SELFTEST, {}), (compressed, SELFTEST, {}), (wav, DIGITS, {"stream": "true"})]
    cases += [(wav, SELFTEST, {"response_format": "srt"}), (b"no media", SELFTEST, {}), (wav, "no-such-model", {})]
    for _ in range(ROUNDS):
        with ThreadPoolExecutor(len(cases) + len(REALTIME)) as pool:
            turns = pool.map(lambda model: speak_turn(fleet.url, model), REALTIME)
            list(pool.map(lambda case: fleet.transcribe(case[0], case[1], **case[2]), cases))
            assert all(turn["type"].endswith(".completed") for turn in turns)


def test_every_query_of_the_dashboard_returns_data(loaded):
    board = json.loads((ROOT / "deploy" / "grafana" / "rapl.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]

    empty = [each for each in queries if not query(loaded, each.replace("$__rate_interval", "5m"))]
    assert empty == []


def test_no_alert_fires_while_all_is_well(loaded):
    alerts = httpx.get(f"{loaded}/api/v1/alerts").json()["data"]["alerts"]

    assert [alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"] == []
    assert rule_healths(loaded) == {"ok"}


def test_promtool_finds_nothing_wrong_with_the_metrics(loaded, targets):
    for job, address in targets.items():
        text = httpx.get(f"http://{address}/metrics").text

        assert promtool("check", "metrics", text=text) == "", job


def test_every_service_has_the_metrics_of_the_table(loaded, targets):
    kinds = {"gateway": "gateway", "preprocess-service": "preprocess-service"}
    for job, address in targets.items():
        has = set(re.findall(r"^# TYPE (rapl_\w+)", httpx.get(f"http://{address}/metrics").text, re.MULTILINE))
        service = kinds.get(job, "engines")

        assert has == {spec.name for spec in METRICS if service in spec.services}, job


def staged_s(request: dict[str, float]) -> float:
    return sum(request.get(stage, 0.0) for stage in STAGES)


def test_the_stages_of_each_request_add_up_to_its_time(loaded, fleet, log_before):
    log = fleet.gateway.log.read_bytes()[log_before:].decode().splitlines()
    # A request that is refused before its body is read has no stages.
    lines = [line for line in log if " path=/v1/audio/transcriptions " in line and " receive_s=" in line]
    seconds = [{name: float(s) for name, s in re.findall(r"(\w+)_s=([\d.]+)", line)} for line in lines]

    assert len(seconds) >= 6 * ROUNDS
    # A request may wait between two stages for a core that other programs have, so a single one may have a gap.
    assert all(staged_s(each) <= 1.05 * each["took"] + 0.005 for each in seconds)
    assert median(staged_s(each) / each["took"] for each in seconds) == pytest.approx(1, abs=0.05)
    assert sum(map(staged_s, seconds)) == pytest.approx(sum(each["took"] for each in seconds), rel=0.1)
    computed = [each for line, each in zip(lines, seconds, strict=True) if "status=200" in line]
    assert all(each["infer"] > 0 and each["audio"] > 0 for each in computed)

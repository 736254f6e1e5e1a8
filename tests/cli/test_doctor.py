"""`rapl doctor` names what is wrong with the services and this machine, with a remedy that exists on this system."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from doctor_command import COMMAND, doctor, gateway
from rapl_service.calls.remedies import without_docker
from services import ROOT, free_port, until
from small_disk import free_bytes, small_disk
from terminal import Terminal


def test_a_fleet_whose_default_model_answers_has_no_problem(doctor_fleet):
    report = doctor(doctor_fleet)

    assert (report.code, report.problems()) == (0, [])
    assert report["self-test"] == ("ok", "transcribed three-one-four.wav as '3 1 4 1 5 9.'")
    assert report["API key"] == ("ok", "not needed")
    assert report["docker"][0] == report["certificate"][0] == "skipped"
    if sys.platform == "linux":
        assert report["mlx-service"] == ("skipped", "not running; it is for Macs with Apple silicon")


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_shows_a_table_that_fits(doctor_fleet, columns):
    with Terminal(COMMAND, environ=doctor_fleet, cwd=ROOT, size=(columns, 60)) as terminal:
        assert terminal.ended() == 0
    lines = terminal.lines()
    assert lines[-1] == "The default model can be used."
    assert all(re.match(r"(ok|skipped) +\S|  +\S", line) for line in lines[:-2])
    assert any(re.fullmatch(r"ok +gateway +answers at http://127\.0\.0\.1:\d+", line) for line in lines)


def test_without_a_gateway_the_remedy_is_the_command_that_exists(alone):
    port = free_port()
    report = doctor({**alone, "RAPL_PORT": str(port)})

    url = f"http://127.0.0.1:{port}"
    assert (report.code, report.problems()) == (1, ["gateway"])
    assert report["gateway"] == ("failed", f"{url}: nothing listens there")
    assert report.remedy("gateway") == "Start it with `./rapl up`."
    assert report[f"port {port}"] == ("ok", "free, for gateway")


def test_an_engine_that_is_down_is_named_with_the_sentence_of_the_api(doctor_fleet, tmp_path):
    url = f"http://127.0.0.1:{free_port()}"
    with gateway(tmp_path, doctor_fleet, RAPL_SENSEVOICE_URL=url) as settings:
        report = doctor(settings)
        models = httpx.get(f"http://127.0.0.1:{settings['RAPL_PORT']}/v1/models").json()["data"]

    [model] = [model for model in models if model["id"] == "rapl/selftest"]
    assert (report.code, report.problems()) == (1, ["sensevoice-service", "default model"])
    assert report["sensevoice-service"] == ("failed", model["reason"])
    assert report.remedy("default model") == without_docker(model["remedy"])


@pytest.fixture
def damaged_model(doctor_fleet) -> Iterator[None]:
    """SenseVoiceSmall's files after one of them was cut off."""
    model = Path(doctor_fleet["RAPL_SENSEVOICE_MODEL_DIR"]) / "iic" / "SenseVoiceSmall"
    model.mkdir(parents=True)
    graph = {"name": "sensevoice-int8.bin", "size": 1000, "sha256": "0" * 64}
    manifest = {"files": [graph], "format": 3, "source_sha256": "0" * 64, "engine": "2026"}
    (model / "sensevoice-int8.json").write_text(json.dumps(manifest))
    (model / "sensevoice-int8.bin").write_bytes(bytes(10))
    until("the gateway knows of the files", lambda: has_failed_model(doctor_fleet))
    yield
    shutil.rmtree(model)
    until("the gateway knows that they are gone", lambda: not has_failed_model(doctor_fleet))


def has_failed_model(environ: dict[str, str]) -> bool:
    """As the gateway knows it, which polls the engine."""
    models = httpx.get(f"http://127.0.0.1:{environ['RAPL_PORT']}/v1/models").json()["data"]
    return any(model["state"] == "failed" for model in models)


def test_a_model_that_failed_is_a_failure_only_if_it_is_the_default_and_each_replica_has_a_line(
    doctor_fleet, tmp_path, damaged_model
):
    absent = f"http://127.0.0.1:{free_port()}"
    replicas = f"{doctor_fleet['RAPL_SENSEVOICE_URL']},{absent}"
    as_other = doctor(doctor_fleet)
    more = {"RAPL_DEFAULT_MODEL": "iic/SenseVoiceSmall", "RAPL_SENSEVOICE_URL": replicas}
    with gateway(tmp_path, doctor_fleet, **more) as settings:
        as_default = doctor(settings)

    message = "iic/SenseVoiceSmall: failed (sensevoice-int8.bin is missing or cut off in "
    lines = [(check["status"], check["message"]) for check in as_default.checks if check["name"] == "replica"]
    assert as_other.code == 0
    assert [check for check in as_other.checks if (check["message"] or "").startswith(message)]
    assert as_default.code == 1
    assert (as_default["default model"][1] or "").startswith(message)
    assert lines == [
        ("ok", f"sensevoice-service at {doctor_fleet['RAPL_SENSEVOICE_URL']} answers"),
        ("warning", f"sensevoice-service at {absent} cannot be reached"),
    ]


def test_a_full_disk_is_named_with_the_sentence_of_the_api(doctor_fleet, tmp_path):
    with small_disk(tmp_path, 8 << 20) as disk:
        (disk / "filler").write_bytes(bytes(free_bytes(disk)))
        report = doctor({**doctor_fleet, "TMPDIR": str(disk)})

    text = f"0.0 GB free for temporary files in {disk}: uploads over 1 MB are refused"
    assert (report.code, report.problems()) == (1, ["disk: temporary"])
    assert report["disk: temporary"] == ("failed", text)
    assert "TMPDIR" in (report.remedy("disk: temporary") or "")

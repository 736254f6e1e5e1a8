"""The commands and speaker-service: a stand-in, at which a gateway without engines looks."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from doctor_command import doctor
from rapl_command import piped
from rapl_protocol.models import ModelState
from services import ServiceProcess, free_port, until
from speaker_stand_in import speaker_stand_in

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def stand_in():
    with speaker_stand_in() as service:
        yield service


@pytest.fixture
def fleet_of(tmp_path):
    """Runs a gateway with these addresses of speaker-service, and gives the environment of its commands."""

    @contextmanager
    def run(urls: str) -> Iterator[dict[str, str]]:
        settings = {"RAPL_SPEAKERS_URL": urls, "RAPL_ROOT": str(tmp_path), "RAPL_SPEAKERS_PORT": str(free_port())}
        nowhere = {f"RAPL_{name}_URL": NOWHERE for name in ("PREPROCESS", "SENSEVOICE", "MLX")}
        environ = {**settings, **nowhere}
        with ServiceProcess(sys.executable, "rapl_gateway", "RAPL_PORT", tmp_path / "log", **environ) as gateway:
            yield {**os.environ, **environ, "RAPL_PORT": str(gateway.port)}

    return run


def status_of(environ: dict[str, str]) -> dict:
    return json.loads(piped(environ, "status", "--json").stdout)


def test_doctor_status_and_models_show_the_service_and_its_model(fleet_of, stand_in):
    with fleet_of(stand_in.url) as environ:
        until("the gateway has asked it", lambda: stand_in.polls > 0)
        report = doctor(environ)
        shown, models = piped(environ, "status").stdout, piped(environ, "models").stdout

    assert report["speaker-service"] == ("ok", "the gateway reaches it")
    assert ("ok", "rapl/speakers is ready") in [(each["status"], each["message"]) for each in report.checks]
    assert "speaker-service" in shown
    assert "rapl/speakers" in shown
    assert "rapl/speakers" in models


def test_doctor_names_the_model_that_is_missing(fleet_of, stand_in):
    stand_in.state = ModelState.ABSENT
    with fleet_of(stand_in.url) as environ:
        until("the gateway has asked it", lambda: stand_in.polls > 0)
        report = doctor(environ)

    assert report["speaker-service"][0] == "ok"
    assert "model" in report.problems()


def test_doctor_names_the_process_that_cannot_be_reached(fleet_of, stand_in):
    with fleet_of(f"{stand_in.url},{NOWHERE}") as environ:
        until("the gateway has asked it", lambda: stand_in.polls > 1)
        report = doctor(environ)

    assert report["replica"] == ("warning", "speaker-service at 127.0.0.1:9 cannot be reached")


def test_a_service_that_was_never_there_is_no_problem(fleet_of):
    with fleet_of(NOWHERE) as environ:
        until("the gateway has asked it", lambda: bool(status_of(environ)["problems"]))
        report, shown = doctor(environ), piped(environ, "status").stdout

    assert report["speaker-service"] == ("skipped", "not running; `./rapl up --speakers` starts it")
    assert "./rapl up --speakers" not in shown


def test_load_and_unload_reach_its_model(fleet_of, stand_in):
    with fleet_of(stand_in.url) as environ:
        until("the gateway has asked it", lambda: stand_in.polls > 0)
        pulled, unloaded = piped(environ, "pull", "rapl/speakers"), piped(environ, "unload", "rapl/speakers")

    assert (pulled.returncode, pulled.stdout) == (0, "rapl/speakers is ready.\n"), pulled.stderr
    assert (unloaded.returncode, unloaded.stdout) == (0, "rapl/speakers is unloaded.\n")
    assert stand_in.changes == ["load", "unload"]


def test_a_pull_of_missing_weights_says_what_downloads_them_if_the_services_run_elsewhere(fleet_of, stand_in):
    stand_in.state = ModelState.ABSENT
    with fleet_of(stand_in.url) as environ:
        until("the gateway has asked it", lambda: stand_in.polls > 0)
        ended = piped(environ, "pull", "rapl/speakers")

    assert ended.returncode == 1
    assert "prepare-speakers" in ended.stderr

"""The files of `deploy/swarm` fit the services: their settings, their rights, their times and the documents."""

import re

import pytest
import yaml
from rapl_service.run import DRAIN_S
from rapl_service.settings.names import NAMES
from services import ROOT

FOLDER = ROOT / "deploy" / "swarm"
FILES = ("stack.yml", "mlx.yml", "speakers.yml")
STACK = yaml.safe_load((FOLDER / "stack.yml").read_text())
SPEAKERS = yaml.safe_load((FOLDER / "speakers.yml").read_text())["services"]
STACK["services"] |= {each: SPEAKERS[each] for each in ("speaker-service", "prepare-speakers")}
GET_AUDIO = ("gateway", "preprocess-service", "sensevoice-service", "speaker-service")
OURS = (*GET_AUDIO, "prepare-model", "prepare-speakers")
WAIT_S = 2
"""Between the moment at which Swarm takes a task out of DNS, and SIGTERM.
Source: https://github.com/moby/moby/blob/v28.2.2/daemon/cluster/executor/container/controller.go"""
VARIABLE = re.compile(r"\$\{([A-Z_]+)")


def test_a_task_has_more_time_to_end_than_its_service_needs_for_its_requests():
    for name in OURS:
        service = STACK["services"][name]
        drain_s = service["environment"].get("RAPL_DRAIN_S", DRAIN_S)
        assert int(service["stop_grace_period"].removesuffix("s")) >= WAIT_S + drain_s + 10


def test_what_gets_audio_has_no_route_out():
    internal = {name for name, network in STACK["networks"].items() if network.get("internal")}

    for name in GET_AUDIO:
        assert set(STACK["services"][name]["networks"]) <= internal


def test_only_caddy_publishes_ports():
    assert [name for name, service in STACK["services"].items() if "ports" in service] == ["caddy"]


@pytest.mark.parametrize("name", [*OURS, "caddy"])
def test_a_service_has_no_rights_and_limits(name):
    service = STACK["services"][name]

    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert {"memory", "pids"} <= set(service["deploy"]["resources"]["limits"])


@pytest.mark.parametrize("name", GET_AUDIO)
def test_an_update_starts_the_new_task_first_and_goes_back_if_it_fails(name):
    deploy = STACK["services"][name]["deploy"]

    assert deploy["update_config"]["order"] == "start-first"
    assert deploy["update_config"]["failure_action"] == "rollback"
    assert deploy["endpoint_mode"] == "dnsrr"
    assert STACK["services"][name]["healthcheck"]["test"]


def test_an_engine_is_healthy_when_its_model_is_ready():
    [url] = [part for part in STACK["services"]["sensevoice-service"]["healthcheck"]["test"] if "http" in part]

    assert "/health/ready?model=${RAPL_READY_MODEL:-iic/SenseVoiceSmall}" in url


def test_every_setting_of_a_container_exists():
    files = (yaml.safe_load((FOLDER / name).read_text())["services"] for name in FILES)
    used = {
        variable for services in files for service in services.values() for variable in service.get("environment", ())
    }

    assert {each for each in used if each.startswith("RAPL_")} <= NAMES
    assert {"RAPL_SENSEVOICE_URL", "RAPL_MLX_TOKEN_FILE"} <= used


def test_every_variable_of_the_shell_is_documented():
    documents = "".join((ROOT / "docs" / name).read_text() for name in ("swarm.md", "settings.md"))
    text = "".join((FOLDER / name).read_text() for name in FILES)

    assert {each for each in VARIABLE.findall(text) if f"`{each}`" not in documents} <= {"NO_PROXY"}

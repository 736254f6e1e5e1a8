"""The services in containers: health, transcriptions, rights and limits."""

import json

import openai
import pytest
from containers import BASE_IMAGE, PROJECT, SERVICES, compose, container_ids, docker, inspected, state_of, words
from local_hub import LocalHub
from media import as_media, as_wav
from services import ROOT, until

pytestmark = pytest.mark.docker

SELFTEST_FOLDER = ROOT / "sensevoice-service" / "src" / "rapl_sensevoice" / "selftest_model"
QWEN = "mlx-community/Qwen3-ASR-1.7B-8bit"
IMAGE_LIMIT_BYTES = 150 * 1024 * 1024
STOP_THE_SERVICE = """
import os, pathlib, signal
for folder in pathlib.Path("/proc").glob("[0-9]*"):
    if (folder / "cmdline").read_bytes().endswith(b"-m\\0rapl_sensevoice\\0"):
        os.kill(int(folder.name), signal.SIGSTOP)
"""


def test_every_service_is_healthy(client):
    services = [json.loads(line) for line in compose("ps", "--format", "json").splitlines()]

    health = {service["Service"]: service["Health"] for service in services}
    assert health.pop("prepare-model") == ""
    assert set(health.values()) == {"healthy"}


def test_the_official_sdk_gets_the_samples_text(client, sample):
    assert words(client, sample, "rapl/selftest") == "3 1 4 1 5 9."


def test_another_format_goes_through_preprocess_service(client, sample_pcm):
    assert words(client, as_media(sample_pcm, "webm"), "rapl/selftest") == "3 1 4 1 5 9."


def test_a_large_upload_is_spooled_although_the_file_system_is_read_only(client, sample_pcm):
    large = as_wav(sample_pcm * 8, 48_000, 2, "f32")

    assert words(client, large, "rapl/selftest").replace(".", "").split() == ["3", "1", "4", "1", "5", "9"] * 8


def test_the_native_mlx_process_serves_its_model_and_without_it_the_503_names_the_fix(client, mlx, sample):
    with mlx:
        until("the gateway sees the MLX model", lambda: state_of(client, QWEN) == "ready")
        assert words(client, sample, QWEN) == "three one four one five nine"

    with pytest.raises(openai.InternalServerError) as caught:
        words(client, sample, QWEN)

    assert caught.value.status_code == 503
    for part in ("mlx-service", f"http://host.docker.internal:{mlx.port}", "./rapl mlx"):
        assert part in caught.value.message


def test_sensevoice_without_its_weights_is_a_503_with_state_and_reason(client, sample):
    until("prepare-model has tried", lambda: state_of(client, "iic/SenseVoiceSmall") != "absent")

    with pytest.raises(openai.InternalServerError) as caught:
        words(client, sample, "iic/SenseVoiceSmall")

    assert caught.value.status_code == 503
    assert caught.value.code == "model_not_ready"
    assert "iic/SenseVoiceSmall" in caught.value.message
    assert words(client, sample, "rapl/selftest") == "3 1 4 1 5 9."


def test_the_weights_come_from_the_hub_into_the_volume_and_the_model_is_ready_without_a_restart(
    client, bridge_address, sample, monkeypatch
):
    with LocalHub(host=bridge_address) as hub:
        hub.add("iic/SenseVoiceSmall", SELFTEST_FOLDER)
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", hub.url)
        compose("up", "--wait", "--detach")
        until("the model is ready", lambda: state_of(client, "iic/SenseVoiceSmall") == "ready")

    assert words(client, sample, "whisper-1") == "3 1 4 1 5 9."
    compose("up", "--wait", "--detach")  # with nothing left to prepare


@pytest.mark.parametrize("service", ["gateway", "sensevoice-service", "preprocess-service"])
def test_a_service_runs_without_rights_on_a_read_only_file_system(client, service):
    [container] = [inspected(each) for each in container_ids(service)]

    assert compose("exec", "-T", service, "id", "-u").strip() == "10001"
    assert container["HostConfig"]["ReadonlyRootfs"]
    assert container["HostConfig"]["CapDrop"] == ["ALL"]
    assert "no-new-privileges:true" in container["HostConfig"]["SecurityOpt"]


def test_only_the_gateway_publishes_a_port_and_only_on_this_machine(client):
    config = json.loads(compose("config", "--format", "json"))

    published = {name: service["ports"] for name, service in config["services"].items() if service.get("ports")}
    assert list(published) == ["gateway"]
    assert {port["host_ip"] for port in published["gateway"]} == {"127.0.0.1"}


def test_the_gateways_image_is_light_and_has_no_model_library(client):
    base, image = (
        int(docker("image", "inspect", "--format", "{{.Size}}", name)) for name in (BASE_IMAGE, "rapl/gateway")
    )
    program = "import importlib.util as u; print([m for m in ('numpy', 'torch', 'funasr', 'av') if u.find_spec(m)])"

    assert image - base < IMAGE_LIMIT_BYTES
    assert compose("exec", "-T", "gateway", "python", "-c", program).strip() == "[]"


@pytest.mark.parametrize("service", ["gateway", "preprocess-service"])
def test_no_torch_outside_sensevoice_service(client, service):
    program = "import importlib.util as u; print(u.find_spec('torch'))"

    assert compose("exec", "-T", service, "python", "-c", program).strip() == "None"


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_has_limits(client, service):
    config = json.loads(compose("config", "--format", "json"))["services"][service]

    assert int(config["mem_limit"]) > 0
    assert config["pids_limit"] > 0


def test_a_service_that_hangs_is_restarted(client, sample):
    [container] = container_ids("sensevoice-service")
    docker("exec", container, "python", "-c", STOP_THE_SERVICE)

    until("it was restarted", lambda: docker("inspect", "--format", "{{.RestartCount}}", container).strip() == "1")

    until("the self-test model is ready", lambda: state_of(client, "rapl/selftest") == "ready")
    assert words(client, sample, "rapl/selftest") == "3 1 4 1 5 9."


def test_a_container_exposes_the_port_that_it_listens_on_and_no_other(client):
    exposed = {
        name: set(inspected(container_ids(name)[0])["Config"].get("ExposedPorts") or ())
        for name in (*SERVICES, "prepare-model")
    }

    assert exposed == {
        "gateway": {"8000/tcp"},
        "preprocess-service": {"8010/tcp"},
        "sensevoice-service": {"8020/tcp"},
        "prepare-model": set(),
    }


def test_no_container_has_an_anonymous_volume(client):
    volumes = {
        mount["Name"]
        for name in (*SERVICES, "prepare-model")
        for mount in inspected(container_ids(name)[0])["Mounts"]
        if mount["Type"] == "volume"
    }

    assert volumes == {f"{PROJECT}_models", f"{PROJECT}_uploads", f"{PROJECT}_media"}


def test_the_gateways_log_names_the_address_to_open(client):
    url = str(client.base_url).removesuffix("/v1/")

    assert f"RAPL is at {url}; clients of OpenAI's API use {url}/v1" in compose("logs", "gateway")

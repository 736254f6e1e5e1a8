"""The fleet in containers: images, health, transcriptions, and no route out for audio."""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator

import httpx
import openai
import pytest
from local_hub import LocalHub
from media import as_media, as_wav
from openai import OpenAI
from services import DIGITS_FOLDER, ROOT, ServiceProcess, free_port, under_load, until

pytestmark = pytest.mark.docker

SELFTEST_FOLDER = ROOT / "sensevoice-service" / "src" / "rapl_sensevoice" / "selftest_model"
PORT = free_port()
PROJECT = "rapl-test"
SERVICES = ("gateway", "preprocess-service", "sensevoice-service")
MLX_TOKEN = "beyond-loopback-it-wants-one"
QWEN = "mlx-community/Qwen3-ASR-1.7B-8bit"
BUILD_LIMIT_S = 1800
IMAGE_LIMIT_BYTES = 150 * 1024 * 1024
PROBE = """
import socket, sys
for address in (("1.1.1.1", 443), ("8.8.8.8", 53), ("172.17.0.1", 22), ("pypi.org", 443)):
    try:
        socket.create_connection(address, timeout=3)
        sys.exit(f"reached {address}")
    except OSError:
        pass
"""
STOP_THE_SERVICE = """
import os, pathlib, signal
for folder in pathlib.Path("/proc").glob("[0-9]*"):
    if (folder / "cmdline").read_bytes().endswith(b"-m\\0rapl_sensevoice\\0"):
        os.kill(int(folder.name), signal.SIGSTOP)
"""


def docker(*arguments: str, limit_s: float = 120) -> str:
    ended = subprocess.run(["docker", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=limit_s)
    assert ended.returncode == 0, f"docker {' '.join(arguments)}:\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
    return ended.stdout


def compose(*arguments: str, limit_s: float = 120) -> str:
    files = ("-f", "docker-compose.yml", "-f", "docker-compose.linux.yml")
    return docker("compose", *files, "-p", PROJECT, *arguments, limit_s=limit_s)


def up(*arguments: str, limit_s: float = 120) -> None:
    """Waits until all are healthy. If one is not, SIGUSR1 makes the services log the stack of each thread."""
    try:
        compose("up", "--wait", "--detach", *arguments, limit_s=limit_s)
    except AssertionError as error:
        compose("kill", "--signal", "USR1", *SERVICES)
        time.sleep(1)
        raise AssertionError(f"{error}\n{logs()}") from error


def logs() -> str:
    return compose("logs", "--tail", "100", *SERVICES)


@pytest.fixture(scope="module")
def bridge_address() -> str:
    """The host's address for containers on Linux."""
    program = "import socket; print(socket.gethostbyname('host.docker.internal'))"
    name = "--add-host=host.docker.internal:host-gateway"
    return docker("run", "--rm", name, "python:3.11-slim-bookworm", "python3", "-c", program).strip()


@pytest.fixture(scope="module")
def mlx(mlx_python: str, bridge_address: str, tmp_path_factory: pytest.TempPathFactory) -> ServiceProcess:
    """The native MLX process on the host, with the tiny model under the real id; not started yet."""
    return ServiceProcess(
        mlx_python,
        "rapl_mlx",
        "RAPL_MLX_PORT",
        tmp_path_factory.mktemp("mlx") / "log",
        RAPL_MLX_HOST=bridge_address,
        RAPL_MLX_TOKEN=MLX_TOKEN,
        RAPL_MLX_MODELS=f"{QWEN}={DIGITS_FOLDER}",
    )


@pytest.fixture(scope="module")
def client(mlx: ServiceProcess) -> Iterator[OpenAI]:
    """A client of the fleet in containers."""
    os.environ |= {"RAPL_PORT": str(PORT), "RAPL_MLX_URL": f"http://host.docker.internal:{mlx.port}"}
    os.environ["RAPL_MLX_TOKEN"] = MLX_TOKEN
    try:
        up("--build", limit_s=BUILD_LIMIT_S)
        with OpenAI(base_url=f"http://127.0.0.1:{PORT}/v1", api_key="any", max_retries=0) as openai_client:
            until("the self-test model is ready", lambda: state_of(openai_client, "rapl/selftest") == "ready")
            yield openai_client
    finally:
        compose("down", "--volumes", "--timeout", "5")


def state_of(client: OpenAI, model: str) -> str:
    return httpx.get(f"{client.base_url}models/{model}").json()["state"]


def words(client: OpenAI, sample: bytes, model: str) -> str:
    return client.audio.transcriptions.create(file=("sample.wav", sample), model=model).text


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


@pytest.mark.parametrize("service", ["sensevoice-service", "preprocess-service"])
def test_a_service_that_gets_audio_can_reach_no_outside_address(client, service):
    compose("exec", "-T", service, "python", "-c", PROBE)


def test_the_probe_notices_a_route_out(client):
    program = PROBE.replace('("1.1.1.1", 443)', '("127.0.0.1", 8000)')

    with pytest.raises(AssertionError, match="reached"):
        compose("exec", "-T", "gateway", "python", "-c", program)


@pytest.mark.parametrize("service", ["gateway", "sensevoice-service", "preprocess-service"])
def test_a_service_runs_without_rights_on_a_read_only_file_system(client, service):
    container = json.loads(docker("inspect", compose("ps", "--quiet", service).strip()))[0]

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
        int(docker("image", "inspect", "--format", "{{.Size}}", name))
        for name in ("python:3.11-slim-bookworm", "rapl/gateway")
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


def container_ids(service: str) -> list[str]:
    return compose("ps", "--quiet", service).split()


def texts_under_load(client: OpenAI, sample: bytes, requests: int, strike: Callable[[], object]) -> list[str]:
    def send(request_id: str) -> str:
        file, headers = ("sample.wav", sample), {"x-request-id": request_id}
        return client.audio.transcriptions.create(file=file, model="rapl/selftest", extra_headers=headers).text

    return under_load(f"http://127.0.0.1:{PORT}", send, requests, strike)


def test_no_request_fails_when_one_of_two_sensevoice_replicas_is_killed(client, sample):
    up("--scale", "sensevoice-service=2", "--no-recreate")
    one, other = container_ids("sensevoice-service")
    found = re.compile(r"backend=sensevoice address=http://[\d.]+:8020 added")
    until("both are found", lambda: len(set(found.findall(compose("logs", "gateway")))) >= 2)
    docker("update", "--restart=no", one)

    texts = texts_under_load(client, sample, 20, lambda: docker("kill", one))

    assert texts == ["3 1 4 1 5 9."] * 20
    assert container_ids("sensevoice-service") == [other]


def test_no_request_fails_when_all_services_stop_under_load_and_every_exit_code_is_0(client, sample):
    """The last test of this file: it stops all containers."""
    running = {name: container_ids(name) for name in SERVICES}

    texts = texts_under_load(client, sample, 12, lambda: compose("stop"))

    assert texts == ["3 1 4 1 5 9."] * 12
    codes = {
        name: {docker("inspect", "--format", "{{.State.ExitCode}}", each).strip() for each in ids}
        for name, ids in running.items()
    }
    assert codes == {name: {"0"} for name in SERVICES}, logs()

"""Settings and files reach their containers: from .env, from the shell, and from the folder `config`."""

import importlib
import json
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from containers import PORT, changed, compose, docker
from openai import OpenAI
from pydantic_settings import BaseSettings
from services import ROOT, free_port, until

pytestmark = pytest.mark.docker

SERVICES = {
    "gateway": "rapl_gateway",
    "preprocess-service": "rapl_preprocess",
    "sensevoice-service": "rapl_sensevoice",
    "prepare-model": "rapl_sensevoice",
    "speaker-service": "rapl_speakers",
    "prepare-speakers": "rapl_speakers",
}
LISTENS = "A container listens on a fixed port on all its addresses; RAPL_PUBLISH and RAPL_PORT choose the host's."
FILE = "The file is in the folder `config`, which RAPL_CONFIG_DIR names."
NOT_PASSED_ON = {
    "RAPL_HOST": LISTENS,
    "RAPL_PORT": LISTENS,
    "RAPL_TLS_PORT": LISTENS,
    "RAPL_PUBLISH_PORT": LISTENS,
    "RAPL_PUBLISH_TLS_PORT": LISTENS,
    "RAPL_PREPROCESS_HOST": LISTENS,
    "RAPL_PREPROCESS_PORT": LISTENS,
    "RAPL_SENSEVOICE_HOST": LISTENS,
    "RAPL_SENSEVOICE_PORT": LISTENS,
    "RAPL_CONFIG": FILE,
    "RAPL_API_KEYS_FILE": FILE,
    "RAPL_TLS_CERT": FILE,
    "RAPL_TLS_KEY": FILE,
    "RAPL_MLX_TOKEN_FILE": "The container has no such file; RAPL_MLX_TOKEN reaches it.",
    "RAPL_ROOT": "The image has no checkout.",
    "RAPL_SENSEVOICE_MODEL_DIR": "The weights are in the volume `models`.",
    "RAPL_SPEAKERS_HOST": LISTENS,
    "RAPL_SPEAKERS_PORT": LISTENS,
    "RAPL_SPEAKERS_MODEL_DIR": "The weights are in the volume `models`.",
}
"""Settings that do not reach their containers, and why."""
KEY = "a-key-from-the-file"


def variables(package: str) -> set[str]:
    """The names of every setting of a package, other names included."""
    settings: type[BaseSettings] = importlib.import_module(f"{package}.settings").Settings
    prefix = settings.model_config.get("env_prefix", "")
    return {
        name
        for field, about in settings.model_fields.items()
        for name in (about.validation_alias.choices if about.validation_alias else [f"{prefix}{field}".upper()])
    }


def value_of(variable: str) -> str:
    return "127.0.0.9" if variable == "RAPL_PUBLISH" else f"value-of-{variable}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of what `docker compose` reads."""
    for file in ROOT.glob("docker-compose*.yml"):
        shutil.copy(file, tmp_path)
    shutil.copytree(ROOT / "deploy" / "docker", tmp_path / "deploy" / "docker")
    return tmp_path


def environments(folder: Path, environ: dict[str, str]) -> dict[str, dict[str, str]]:
    """The environment of each container, as `docker compose config` has it."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("RAPL_")}
    command = ["docker", "compose", "--profile", "speakers", "config", "--format", "json"]
    ended = subprocess.run(command, cwd=folder, env=bare | environ, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    services = json.loads(ended.stdout)["services"]
    return {name: {key: str(value) for key, value in services[name]["environment"].items()} for name in SERVICES}


@pytest.mark.parametrize("source", [".env", "shell"])
@pytest.mark.parametrize("service", SERVICES)
def test_every_setting_reaches_its_container_except_those_that_are_listed(folder, service, source):
    wanted = variables(SERVICES[service])
    values = {name: value_of(name) for name in sorted(wanted - NOT_PASSED_ON.keys())}
    if source == ".env":
        (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in values.items()))

    environment = environments(folder, values if source == "shell" else {})[service]

    assert {name: environment.get(name) for name in values} == values


def test_what_is_listed_as_fixed_is_not_changed_by_the_file(folder):
    fixed = {name: "8123" if name.endswith("PORT") else "changed" for name in NOT_PASSED_ON}
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in fixed.items()))

    containers = environments(folder, {})

    assert containers["gateway"]["RAPL_HOST"] == "0.0.0.0"
    assert containers["gateway"]["RAPL_PORT"] == "8000"
    assert containers["gateway"]["RAPL_PUBLISH_PORT"] == "8123"
    assert all(containers["gateway"][name] == "" for name in ("RAPL_TLS_PORT", "RAPL_TLS_CERT", "RAPL_TLS_KEY"))
    for service in SERVICES.keys() - {"gateway"}:
        assert {*containers[service]} & {*NOT_PASSED_ON} == set()


def test_keys_reach_only_the_gateway(folder):
    (folder / ".env").write_text("RAPL_API_KEYS=secret\nRAPL_MLX_TOKEN=secret\nELSEWHERE_KEY=secret\n")

    containers = environments(folder, {})

    assert containers["gateway"]["ELSEWHERE_KEY"] == "secret"  # rapl.toml may name it
    assert [name for name, environment in containers.items() if "secret" in environment.values()] == ["gateway"]


@pytest.mark.parametrize("overlay", ["tls", "cuda", "linux", "closed"])
def test_every_overlay_is_valid_with_the_main_file(overlay):
    compose("config", "--quiet", overlays=(f"docker-compose.{overlay}.yml",))


@pytest.fixture(scope="module")
def secured(client: OpenAI, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """The fleet with keys, rapl.toml and TLS from the folder `config`; its certificate, and the port for HTTPS."""
    folder, port = tmp_path_factory.mktemp("config"), free_port()
    (folder / "keys").write_text(f"{KEY}\n")
    (folder / "rapl.toml").write_text('[aliases]\ndictation = "rapl/selftest"\n')
    (folder / "tls").mkdir()
    certificate = folder / "tls" / "cert.pem"
    make_certificate(certificate, folder / "tls" / "key.pem")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    overlays = ("docker-compose.tls.yml",)
    with changed(overlays, RAPL_CONFIG_DIR=str(folder), RAPL_TLS_PORT=str(port)):
        yield certificate, port


def make_certificate(certificate: Path, key: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command, *names, "-out", certificate, "-keyout", key], check=True, capture_output=True)


def secured_client(url: str, certificate: Path) -> OpenAI:
    http = httpx.Client(verify=ssl.create_default_context(cafile=certificate), timeout=60)
    return OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0, http_client=http)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_client_with_a_key_of_the_file_uses_an_alias_of_rapl_toml_on_both_ports(secured, sample, scheme):
    certificate, tls_port = secured
    url = f"https://localhost:{tls_port}" if scheme == "https" else f"http://localhost:{PORT}"

    with secured_client(url, certificate) as client:
        until("the model is ready", lambda: client.models.retrieve("rapl/selftest").state == "ready")  # type: ignore[attr-defined]
        text = client.audio.transcriptions.create(file=("sample.wav", sample), model="dictation").text

    assert text == "3 1 4 1 5 9."


def test_a_client_without_a_key_of_the_file_gets_401(secured):
    assert httpx.get(f"http://127.0.0.1:{PORT}/v1/models").status_code == 401


def test_the_log_names_both_addresses(secured):
    text = compose("logs", "gateway")

    assert f"RAPL is at http://127.0.0.1:{PORT};" in text
    assert f"RAPL is at https://127.0.0.1:{secured[1]};" in text


def test_a_file_that_the_containers_user_cannot_read_ends_the_start_with_its_name(client, tmp_path):
    (tmp_path / "keys").write_text("a key\n")
    (tmp_path / "keys").chmod(0o600)
    tmp_path.chmod(0o755)

    command = ["docker", "run", "--rm", "-v", f"{tmp_path}:/etc/rapl:ro", "rapl/gateway"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert ended.returncode == 2
    assert ended.stderr.startswith("config/keys cannot be read by the container's user, whose id is 10001.")


def test_an_image_without_the_folder_starts(client):
    names = docker("run", "--rm", "rapl/gateway", "start-gateway", "env")

    assert "RAPL_CONFIG=" not in names
    assert "RAPL_API_KEYS_FILE=" not in names

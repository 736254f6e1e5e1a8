"""The stages of mishaps: what is wrong around a command, each as a context that gives the changed environment."""

import os
import shutil
import socket
import subprocess
import wave
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

import doctor_command
import pytest
from local_hub import LocalHub
from rapl_hub.state import DownloadPhase, DownloadState
from rapl_sensevoice.weights.on_disk import PREPARE_AGAIN, STATE_NAME
from scripted_gateway import ScriptedGateway
from services import ROOT, SAMPLE, free_port
from small_disk import free_bytes, small_disk

Environ = dict[str, str]
Stage = Callable[[Environ, Path], AbstractContextManager[Environ]]
"""Gets the environment and an empty folder."""
PORTS = ("RAPL_PORT", "RAPL_PREPROCESS_PORT", "RAPL_SENSEVOICE_PORT", "RAPL_MLX_PORT")
LOG_LEVELS = ("RAPL_LOG_LEVEL", "RAPL_PREPROCESS_LOG_LEVEL", "RAPL_SENSEVOICE_LOG_LEVEL")
SENSEVOICE = "iic/SenseVoiceSmall"
SELFTEST_FOLDER = ROOT / "sensevoice-service" / "src" / "rapl_sensevoice" / "selftest_model"
_SHELL_TOOLS = ("sh", "dirname", "readlink", "uname")


def environment(folder: Path) -> Environ:
    """An environment whose ports are free and whose services log nothing that is usual."""
    empty = folder / "rapl.toml"
    empty.touch()
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {
        **kept,
        **{name: str(free_port()) for name in PORTS},
        **dict.fromkeys(LOG_LEVELS, "WARNING"),
        "RAPL_SENSEVOICE_MODEL_DIR": str(folder / "models"),
        "RAPL_CONFIG": str(empty),
        "RAPL_DEFAULT_MODEL": "rapl/selftest",
    }


@contextmanager
def nothing(environ: Environ, folder: Path) -> Iterator[Environ]:
    yield environ


@contextmanager
def web_server(environ: Environ, folder: Path) -> Iterator[Environ]:
    with doctor_command.web_server() as server:
        yield environ | {"RAPL_PORT": str(server.server_port)}


@contextmanager
def silent_listener(environ: Environ, folder: Path) -> Iterator[Environ]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        yield environ | {"RAPL_PORT": port, "RAPL_SENSEVOICE_PORT": port}


@contextmanager
def stale_files(environ: Environ, folder: Path) -> Iterator[Environ]:
    """The files of a fleet that has died name a process that lives: this one."""
    files = [ROOT / ".rapl" / name for name in ("up.pid", "up.lock")]
    for file in files:
        file.write_text(str(os.getpid()))
    yield environ
    files[0].unlink()


@contextmanager
def files(environ: Environ, folder: Path) -> Iterator[Environ]:
    """Some files that are not what a setting or a command needs."""
    (folder / "empty").mkdir()
    (folder / "empty" / "notes.md").write_text("no audio")
    (folder / "nonsense.wav").write_bytes(b"nonsense" * 100)
    (folder / "binary").write_bytes(b"\xff\xfe\x00")
    (folder / "wrong-syntax.toml").write_text('default_model = "rapl/selftest"\n\n[backends.office\n')
    (folder / "wrong-key.toml").write_text('default_modell = "rapl/selftest"\n\n[backends.office]\nurl = 3\n')
    (folder / "port.env").write_text("# a comment\nRAPL_PORT=http\n")
    (folder / "broken.env").write_text("RAPL_LOG_LEVEL=INFO\n=8000\n")
    (folder / ".rapl").write_text("a file where a folder should be")
    yield environ


@contextmanager
def another_certificate(environ: Environ, folder: Path) -> Iterator[Environ]:
    yield environ | {"RAPL_TLS_CERT": str(certificate(folder, "other")[0])}


@contextmanager
def large_file(environ: Environ, folder: Path) -> Iterator[Environ]:
    """A recording of 2 min, and room for it beside the fleet's small disk."""
    with wave.open(str(folder / "large.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", "not compressed"))
        file.writeframes(bytes(16000 * 2 * 120))
    if not Path(environ["TMPDIR"]).is_mount():
        pytest.skip("only root may mount a file system")
    yield environ


@contextmanager
def hub_without_models(environ: Environ, folder: Path) -> Iterator[Environ]:
    with LocalHub() as hub:
        yield environ | hub.environ


@contextmanager
def hub(environ: Environ, folder: Path) -> Iterator[Environ]:
    """A hub whose model is larger than the fleet's small disk."""
    if not Path(environ["TMPDIR"]).is_mount():
        pytest.skip("only root may mount a file system")
    with LocalHub() as hub:
        hub.add(SENSEVOICE, SELFTEST_FOLDER)
        yield environ | hub.environ


@contextmanager
def without_python(environ: Environ, folder: Path) -> Iterator[Environ]:
    """A machine that has a shell, but no Python, and on which nothing of RAPL is installed."""
    for tool in _SHELL_TOOLS:
        (folder / tool).symlink_to(shutil.which(tool) or tool)
    yield environ | {"PATH": str(folder), "UV_PROJECT_ENVIRONMENT": str(folder / "none")}


@contextmanager
def old_python(environ: Environ, folder: Path) -> Iterator[Environ]:
    with without_python(environ, folder) as changed:
        python = folder / "python3"
        python.write_text("#!/bin/sh\nexit 1  # every check of the version fails\n")
        python.chmod(0o755)
        yield changed


@contextmanager
def full_disk(environ: Environ, folder: Path) -> Iterator[Environ]:
    with small_disk(folder, 64 << 10) as disk:
        (disk / "filler").write_bytes(bytes(free_bytes(disk)))
        yield environ


def scripted(*states: Mapping[str, object]) -> Stage:
    """A gateway whose model has these states."""

    @contextmanager
    def stage(environ: Environ, folder: Path) -> Iterator[Environ]:
        shutil.copy(SAMPLE, folder / "speech.wav")
        gateway = ScriptedGateway(*map(dict, states))
        with gateway.serving():
            yield environ | {"RAPL_PORT": str(gateway.server_port)}

    return stage


STAGES: dict[str, Stage] = {
    "nothing runs": nothing,
    "a web server has the port": web_server,
    "a silent listener has the port": silent_listener,
    "files of a dead fleet": stale_files,
    "files": files,
    "no python": without_python,
    "old python": old_python,
    "full disk": full_disk,
    "another certificate": another_certificate,
    "a large file": large_file,
    "a hub without models": hub_without_models,
    "a hub": hub,
    "a model is being loaded": scripted({"state": "loading"}),
}


@contextmanager
def fleet_settings(folder: Path) -> Iterator[Environ]:
    """The environment of a fleet with a key, TLS and a damaged model. Its disk is small if this user may mount one."""
    cert, key = certificate(folder, "server")
    disk = folder / "disk"
    disk.mkdir()
    with ExitStack() as stack:
        with suppress(pytest.skip.Exception):
            stack.enter_context(small_disk(disk, 2 << 20))
        weights = disk / "models" / "iic" / "SenseVoiceSmall"
        weights.mkdir(parents=True)
        damage = DownloadState(phase=DownloadPhase.FAILED, reason="model.pt is damaged", remedy=PREPARE_AGAIN)
        (weights / STATE_NAME).write_text(damage.model_dump_json())
        yield environment(folder) | {
            "RAPL_API_KEYS": "first-key,second-key",
            "RAPL_TLS_CERT": str(cert),
            "RAPL_TLS_KEY": str(key),
            "RAPL_SENSEVOICE_MODEL_DIR": str(disk / "models"),
            "TMPDIR": str(disk),
        }


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for another machine's name, and its key."""
    cert, key = folder / f"{name}-cert.pem", folder / f"{name}-key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}.lan"]
    subprocess.run([*command, "-out", cert, "-keyout", key], check=True, capture_output=True)
    return cert, key

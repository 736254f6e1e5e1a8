"""mlx-service on two machines outside a cluster, as docs/kubernetes.md and docs/swarm.md describe them: named replicas
with HTTPS by Caddy, and a token in a file."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from services import DIGITS, DIGITS_FOLDER, ROOT, ServiceProcess, free_port, until

TOKEN = "the-token-of-the-machines"


@contextmanager
def machine(mlx_python: str, folder: Path) -> Iterator[tuple[str, Path, ServiceProcess]]:
    """Yields the HTTPS URL of one machine, the certificate of its authority, and its mlx-service."""
    folder.mkdir()
    models = {"RAPL_MLX_MODELS": f"{DIGITS}={DIGITS_FOLDER}", "RAPL_MLX_TOKEN": TOKEN}
    url = f"https://localhost:{free_port()}"
    with ServiceProcess(mlx_python, "rapl_mlx", "RAPL_MLX_PORT", folder / "mlx", **models) as mlx:
        upstream = mlx.url.removeprefix("http://")
        environ = {"RAPL_SITE": url, "RAPL_UPSTREAM": upstream, "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
        command = ["caddy", "run", "--config", str(ROOT / "deploy" / "caddy" / "Caddyfile"), "--adapter", "caddyfile"]
        with (folder / "caddy.log").open("ab") as log:
            caddy = subprocess.Popen(command, env={**os.environ, **environ}, stdout=log, stderr=log)
        authority = folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        try:
            until("caddy has its authority", authority.exists)
            yield url, authority, mlx
        finally:
            caddy.terminate()
            caddy.wait(20)


def reachable_replicas(gateway: ServiceProcess) -> list[str]:
    backends = httpx.get(f"{gateway.url}/v1/status").json()["backends"]
    [mlx] = [each for each in backends if each["name"] == "mlx"]
    return [f"https://{each['host']}" for each in mlx["replicas"] if each["state"] == "ok"]


@pytest.mark.skipif(not shutil.which("caddy"), reason="needs the Debian package caddy")
def test_each_machine_is_a_replica_with_https_and_the_token_and_one_may_be_lost(mlx_python, tmp_path, sample):
    with ExitStack() as stack:
        found = [stack.enter_context(machine(mlx_python, tmp_path / name)) for name in ("studio-1", "studio-2")]
        (tmp_path / "authorities").write_text("".join(authority.read_text() for _, authority, _ in found))
        (tmp_path / "token").write_text(f"{TOKEN}\n")
        urls = [url for url, _, _ in found]
        environ = {
            "RAPL_MLX_URL": ",".join(urls),
            "RAPL_MLX_TOKEN_FILE": str(tmp_path / "token"),
            "SSL_CERT_FILE": str(tmp_path / "authorities"),
            "RAPL_ROOT": str(tmp_path),
        }
        gateway = stack.enter_context(
            ServiceProcess(sys.executable, "rapl_gateway", "RAPL_PORT", tmp_path / "gateway", **environ)
        )
        until("both are replicas", lambda: sorted(reachable_replicas(gateway)) == sorted(urls))
        found[0][2].stop()
        until("one is lost", lambda: reachable_replicas(gateway) == urls[1:])
        answer = httpx.post(
            f"{gateway.url}/v1/audio/transcriptions", data={"model": DIGITS}, files={"file": sample}, timeout=120
        )

    assert answer.json()["text"] == "three one four one five nine"

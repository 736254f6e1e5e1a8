"""The gateways whose page a browser drives, and what the browser's programs must know of them."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local_hub import LocalHub
from page_recordings import Recordings, write_recordings
from services import DIGITS, DIGITS_FOLDER, SELFTEST, Fleet, ServiceProcess, random_speakers

BROWSER = Path(__file__).parent / "page" / "browser"
KEY = "key-of-the-page"
OTHER_NAME = "rapl.test"
"""A name of the gateway that is not this machine's own: browsers give such a page no microphone without HTTPS."""
NOWHERE = "http://127.0.0.1:9"
MISSING = "mlx-community/missing"


@dataclass(frozen=True)
class Gateways:
    """Gateways of the fleet's services, by what a user meets at their page."""

    first_visit: str
    """The default model is not on this machine, and there is no speaker-service."""
    ready: str
    """The default model is ready, and there is a speaker-service."""
    keyed: str
    """It requires KEY, and has no MLX engine."""
    recordings: Recordings

    @property
    def environ(self) -> dict[str, str]:
        """The variables that the browser's programs read."""
        return {
            "CHROMIUM": os.environ.get("CHROMIUM") or shutil.which("chromium") or "",
            "FIRST_VISIT": self.first_visit,
            "READY": self.ready,
            "KEYED": self.keyed,
            "KEY": KEY,
            **self.recordings.environ,
        }


@contextmanager
def page_gateways(folder: Path, fleet: Fleet, mlx_python: str, hub_bytes_per_s: int = 400_000) -> Iterator[Gateways]:
    """Starts the gateways, speaker-service, and an MLX engine that downloads one of its models from a hub, which lacks
    the other one.

    Args:
        folder: for logs, recordings and downloads.
        fleet: the other services.
        mlx_python: a Python with rapl-mlx and mlx-audio.
        hub_bytes_per_s: so slow that a browser sees the download of a model of 1.2 MB.
    """
    folder.mkdir(exist_ok=True)
    with _downloading_engine(folder, mlx_python, hub_bytes_per_s) as engine, random_speakers(folder) as speakers:
        urls = {
            "RAPL_SENSEVOICE_URL": fleet.sensevoice.url,
            "RAPL_PREPROCESS_URL": fleet.preprocess.url,
            "RAPL_MLX_URL": engine.url,
            "RAPL_ROOT": str(folder),
        }

        def gateway(name: str, **settings: str) -> ServiceProcess:
            environ = {**urls, **settings}
            return ServiceProcess(sys.executable, "rapl_gateway", "RAPL_PORT", folder / name, **environ)

        of_ready = {"RAPL_ALLOWED_HOSTS": OTHER_NAME, "RAPL_SPEAKERS_URL": speakers.url}
        ready = gateway("ready", RAPL_DEFAULT_MODEL=SELFTEST, **of_ready)
        keyed = gateway("keyed", RAPL_DEFAULT_MODEL=SELFTEST, RAPL_API_KEYS=KEY, RAPL_MLX_URL=NOWHERE)
        with ready, keyed, gateway("first-visit") as first_visit:
            yield Gateways(first_visit.url, ready.url, keyed.url, write_recordings(folder))


@contextmanager
def _downloading_engine(folder: Path, mlx_python: str, hub_bytes_per_s: int) -> Iterator[ServiceProcess]:
    with LocalHub() as hub:
        hub.add(DIGITS, DIGITS_FOLDER)
        hub.bytes_per_s = hub_bytes_per_s
        settings = {"RAPL_MLX_MODELS": f"{DIGITS},{MISSING}", "RAPL_MLX_PRELOAD": "none"}
        environ = {**settings, **hub.environ, "HF_HOME": str(folder / "hub")}
        with ServiceProcess(mlx_python, "rapl_mlx", "RAPL_MLX_PORT", folder / "mlx", **environ) as engine:
            yield engine

"""The servers that are compared: RAPL with one engine, and WhisperLiveKit."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from rapl_bench.groups.realtime.figures import with_settled
from rapl_bench.groups.realtime.speaking import Listener, RealtimeSession, Spoken, Upload, WhisperLiveKitSession
from rapl_bench.processes import ServerProcess, StartError, free_port
from rapl_bench.real.models import RealModel
from rapl_bench.reporting.machine import version_elsewhere

REAL_PYTHON = "RAPL_BENCH_REAL_PYTHON"
WHISPER_LIVE_KIT_PYTHON = "RAPL_BENCH_WHISPERLIVEKIT_PYTHON"
_ENGINE = Path(__file__).parent / "engine.py"


class Rapl:
    """A gateway in front of one engine. `log` is the gateway's."""

    def __init__(self, url: str, log: Path) -> None:
        self._url = url
        self._log = log
        self._numbers = count(1)

    def upload(self, model: str) -> Listener:
        return Upload(self._url, model)

    async def listen(self, model: str, pcm: bytes, pause_s: float) -> Spoken:
        """A session that is committed `pause_s` seconds after the recording. Raises: SessionFailed."""
        request_id = f"realtime-{next(self._numbers)}"
        spoken = await RealtimeSession(self._url, model, pause_s, request_id).listen(pcm)
        return with_settled(spoken, request_id, self._log)


def engine(python: str, arguments: Sequence[str], log: Path) -> ServerProcess:
    """The script `engine.py` with these arguments."""
    port = free_port()
    return ServerProcess([python, str(_ENGINE), str(port), *arguments], port, log)


def whisper_live_kit(stack: ExitStack, model: RealModel, log: Path) -> tuple[Listener | None, str]:
    """Starts WhisperLiveKit with faster-whisper and these weights, until the stack is closed.

    Returns:
        its listener, and a note about it. None: it could not be started.
    """
    python = os.environ.get(WHISPER_LIVE_KIT_PYTHON)
    if not python:
        return None, "WhisperLiveKit was not measured: its environment could not be made."
    port = free_port()
    command = [str(Path(python).parent / "whisperlivekit-server"), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--model", "tiny.en", "--model_dir", str(model.ctranslate2), "--backend", "faster-whisper"]
    command += ["--backend-policy", "localagreement", "--pcm-input", "--lan", "en", "--warmup-file", ""]
    server = ServerProcess(command, port, log, {"HF_HUB_OFFLINE": "1"}, live_path="/health")
    try:
        stack.enter_context(server)
    except StartError:
        return None, "WhisperLiveKit was not measured: it did not start."
    version = version_elsewhere(python, "whisperlivekit")
    note = (
        f"WhisperLiveKit {version} has the same weights, the backend faster-whisper and the policy LocalAgreement: its "
        "default policy needs weights for PyTorch. The last change of its text counts, not the end of the session."
    )
    return WhisperLiveKitSession(server.url), note

"""The process of a model: downloads the files, loads the model, tests it, then answers one request at a time.

MLX is used only on the main thread, because its streams belong to the thread that created them.
"""

import importlib.util
import logging

from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.frames import Frame
from rapl_protocol.models import Progress
from rapl_protocol.transcript import TranscribeOptions
from rapl_service.log import configure_logging

from rapl_mlx.child.contract import ChildConfig, ModelFailed
from rapl_mlx.child.engine import Engine
from rapl_mlx.child.pipes import Wire
from rapl_mlx.download.model_files import weights_bytes
from rapl_mlx.download.obtain import obtain
from rapl_mlx.families.results import Cancelled, ResultListener

log = logging.getLogger("rapl.mlx")


def main() -> None:
    wire, config = Wire.from_command_line()
    configure_logging(config.log_level, config.log_format)
    for name in ("httpx", "httpx2"):  # they log every URL, and the URLs of the hub's file servers contain signatures
        logging.getLogger(name).setLevel(logging.WARNING)
    engine = make_ready(config, wire)
    while True:
        wire.send(answer(engine, wire.next_request(), wire))
        engine.release_buffers()


def make_ready(config: ChildConfig, wire: Wire) -> Engine:
    """Returns the loaded engine. Reports each phase, and waits for "load" before loading. After a failure it exits."""

    def report(progress: Progress) -> None:
        wire.send({"type": "downloading", **progress.model_dump()})

    try:
        _require_mlx_audio()
        folder = obtain(config, report)
        wire.send({"type": "loading", "weights_bytes": weights_bytes(folder)})
        wire.next_request()  # "load"
        engine = Engine.load(config, folder)
        wire.send({"type": "warming"})
        engine.warm_up()
    except ModelFailed as error:
        failure = error.failure.model_dump()
    except Exception:
        log.exception("model=%s loading failed", config.id)
        failure = {"reason": "an unexpected error", "remedy": "The log of mlx-service has the cause."}
    else:
        ready = {"family": engine.family_name, "capabilities": engine.capabilities.model_dump()}
        wire.send({"type": "ready", **ready})
        return engine
    wire.send({"type": "failed", **failure})
    wire.exit()


def answer(engine: Engine, request: Frame, wire: Wire) -> dict:
    """Returns the result or the error as a frame header. The model stays loaded after an error."""
    job = request.header["job"]

    def on_text(text: str) -> None:
        wire.send({"type": "text", "text": text})

    listener = ResultListener(on_text if request.header["stream"] else None, lambda: wire.cancelled_job == job)
    try:
        options = TranscribeOptions.model_validate(request.header["options"])
        transcript = engine.transcribe(WavAudio(request.payload), options, listener)
    except Cancelled:
        return {"type": "cancelled"}
    except ServiceError as error:
        return {"type": "error", **error.envelope()}
    except Exception:
        log.exception("model=%s transcription failed", engine.model_id)
        error = ServiceError(ErrorCode.INTERNAL, "the model failed on this audio; the log of mlx-service has the cause")
        return {"type": "error", **error.envelope()}
    return {"type": "result", "transcript": transcript.model_dump()}


def _require_mlx_audio() -> None:
    if importlib.util.find_spec("mlx_audio") is None:
        remedy = "Install mlx-service with its engine: uv sync --package rapl-mlx --extra engine"
        raise ModelFailed("mlx-audio is not installed", remedy)


if __name__ == "__main__":
    main()

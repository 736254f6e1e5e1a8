"""SenseVoice computed by FunASR's own AutoModel: the reference, and the way to CUDA."""

import contextlib
import gc
import io
import logging
import sys
import threading
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rapl_protocol.audio import WavAudio
from rapl_service.memory import give_memory_back

from rapl_sensevoice.model.words import TimedToken
from rapl_sensevoice.runtimes.runtime import Decoded, DecodeRequest
from rapl_sensevoice.unusable import ModelUnusable

FBANK_WINDOW_SAMPLES = 400
"""One 25 ms window at 16 kHz: of less audio the front end makes no frame at all, and FunASR raises."""

log = logging.getLogger("rapl.sensevoice")

_STDOUT = threading.Lock()
"""sys.stdout is the process's: one model loads at a time."""
_WARM_UP = WavAudio(bytes(2 * 16_000))
# What load_pretrained_model and build_model print, and go on with random numbers in the place of weights.
_RANDOM_WEIGHTS = ("miss key in ckpt", "init_param does not exist")


class FunAsrRuntime:
    """
    Args:
        device: torch's name of it.
        threads: of one computation.
    """

    def __init__(self, device: str, threads: int) -> None:
        self._device = device
        self._threads = threads
        self._auto_model: Any = None

    def load(self, folder: Path) -> None:
        """Loads and transcribes a second of silence, so that the first request waits for nothing."""
        with _kept_off_our_log() as printed:
            if "funasr" not in sys.modules:
                _import_funasr()
            from funasr import AutoModel

            self._auto_model = AutoModel(
                model=str(folder),
                device=self._device,
                ncpu=self._threads,
                # FunASR would ask the package index for its newest version, without a time limit.
                disable_update=True,
                disable_pbar=True,
                # By default a random dither is added: the same audio would give another text each time.
                frontend_conf={"dither": 0.0},
                # By default a tensor of another shape is left random, and a line is logged.
                ignore_init_mismatch=False,
            )
        if self._auto_model.kwargs["device"] != self._device:  # FunASR takes the CPU without a word
            self.unload()
            raise ModelUnusable(f"there is no device {self._device!r}", "Set RAPL_SENSEVOICE_DEVICE=cpu.")
        if any(sign in printed.getvalue() for sign in _RANDOM_WEIGHTS):
            self.unload()
            raise ModelUnusable(f"model.pt in {folder} does not hold all of the model", "Replace it.")
        self.decode(_WARM_UP, None, with_times=False)
        _give_memory_back()  # the checkpoint's own copy of the weights

    def unload(self) -> None:
        self._auto_model = None
        _give_memory_back()

    def features(self, audio: WavAudio) -> WavAudio:
        return audio

    def batch_key(self, audio: WavAudio) -> tuple[Hashable, int]:
        return None, 1

    def decode_batch(self, requests: Sequence[DecodeRequest]) -> Sequence[Decoded]:
        return [self.decode(each.features, each.language, with_times=each.with_times) for each in requests]

    def decode(self, features: WavAudio, language: str | None, *, with_times: bool) -> Decoded:
        if with_times:
            try:
                result = self._infer(features, language, with_times=True)
                return Decoded(result["text"], _tokens(result))
            except (IndexError, RuntimeError, ValueError):
                # Its alignment of the text with the audio fails on some texts (FunASR issues 2637, 2782): the text
                # itself is then still to be had.
                log.warning("FunASR found no times of words", exc_info=True)
        return Decoded(self._infer(features, language, with_times=False)["text"])

    def _infer(self, audio: WavAudio, language: str | None, *, with_times: bool) -> dict[str, Any]:
        import torch

        auto_model = self._auto_model
        # A private copy: AutoModel.generate would merge these into a dictionary that all its callers share.
        options = auto_model.kwargs | {
            "language": language or "auto",
            "use_itn": True,  # numerals, and the only way to punctuation
            "output_timestamp": with_times,
        }
        with torch.inference_mode():
            [result], _ = auto_model.model.inference(data_in=[_samples(audio)], key=["audio"], **options)
        return result


def _import_funasr() -> None:
    """Imports FunASR's 4,000 modules while the garbage collector rests, and tells it never to look at them.

    It would walk them once a second while they come, and now and then later, each time 0.15 to 0.3 s in which no
    thread answers: a health check's p99 was 325 ms while a model loaded, and is 25 to 110 ms so (2 busy cores).
    """
    gc.disable()
    try:
        import funasr  # noqa: F401
    finally:
        gc.freeze()
        gc.enable()


def _give_memory_back() -> None:
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_initialized():
        gc.collect()
        torch.cuda.empty_cache()
    give_memory_back()


def _samples(audio: WavAudio) -> Any:
    """float32, (samples,), [-1, 1], padded with silence to one window."""
    import numpy as np

    samples = np.frombuffer(audio.pcm, dtype="<i2").astype(np.float32) / 32768
    return np.pad(samples, (0, max(0, FBANK_WINDOW_SAMPLES - len(samples))))


def _tokens(result: dict[str, Any]) -> tuple[TimedToken, ...]:
    """Empty where nothing was said: FunASR then leaves both lists out."""
    pairs = zip(result.get("words", ()), result.get("timestamp", ()), strict=True)
    return tuple(TimedToken(text, start_ms / 1000, end_ms / 1000) for text, (start_ms, end_ms) in pairs)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """FunASR's warnings tell of its own defaults, such as "trust_remote_code: False"."""
    return record.levelno >= logging.ERROR


@contextlib.contextmanager
def _kept_off_our_log() -> Iterator[io.StringIO]:
    """FunASR sets up the root logger if nobody has, logs to it by the line, and prints; gives what it printed."""
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.NullHandler())
    # Only what is logged on the root logger itself passes its filters, and nobody but FunASR does that.
    root.addFilter(_is_worth_a_line)
    with _STDOUT, contextlib.redirect_stdout(io.StringIO()) as printed:
        yield printed

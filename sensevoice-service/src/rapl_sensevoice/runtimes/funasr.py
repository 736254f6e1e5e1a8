"""SenseVoice computed by FunASR's AutoModel: the reference for tests, and the runtime for CUDA."""

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

from rapl_sensevoice.keywords.context_graph import ContextGraph
from rapl_sensevoice.keywords.phrases import Keywords
from rapl_sensevoice.model.decoding import FrameTokens
from rapl_sensevoice.model.vocabulary import SentencepieceVocabulary, Vocabulary
from rapl_sensevoice.model.words import TimedToken
from rapl_sensevoice.runtimes.frames_to_text import decoded, forced_language, tokens_per_frame
from rapl_sensevoice.runtimes.runtime import Decoded, DecodeRequest
from rapl_sensevoice.unusable import ModelUnusable

FBANK_WINDOW_SAMPLES = 400
"""One 25 ms window at 16 kHz. Shorter audio gives no frame, and FunASR raises."""

log = logging.getLogger("rapl.sensevoice")

_STDOUT = threading.Lock()
"""Loading redirects sys.stdout, which belongs to the whole process, so one model loads at a time."""
_WARM_UP = WavAudio(bytes(2 * 16_000))
# Printed by load_pretrained_model and build_model when they continue with random numbers instead of weights.
_RANDOM_WEIGHTS = ("miss key in ckpt", "init_param does not exist")


class FunAsrRuntime:
    """`Runtime` that computes SenseVoice with FunASR's AutoModel.

    Args:
        device: torch device, such as "cpu" or "cuda:0".
        threads: threads per computation.
    """

    def __init__(self, device: str, threads: int) -> None:
        self._device = device
        self._threads = threads
        self._auto_model: Any = None
        self._vocabulary: Vocabulary | None = None
        self._keywords: Keywords | None = None

    def load(self, folder: Path) -> None:
        """Loads the model and transcribes a second of silence, so that the first request is not slower than others."""
        with _captured_output() as printed:
            if "funasr" not in sys.modules:
                _import_funasr()
            from funasr import AutoModel

            self._auto_model = AutoModel(
                model=str(folder),
                device=self._device,
                ncpu=self._threads,
                # Otherwise FunASR queries the package index for its newest version, without a time limit.
                disable_update=True,
                disable_pbar=True,
                # By default FunASR adds random dither, so the same audio could give different texts.
                frontend_conf={"dither": 0.0},
                # By default a tensor with a wrong shape keeps its random values, and FunASR only logs it.
                ignore_init_mismatch=False,
            )
        if self._auto_model.kwargs["device"] != self._device:  # FunASR silently falls back to the CPU
            self.unload()
            raise ModelUnusable(f"there is no device {self._device!r}", "Set RAPL_SENSEVOICE_DEVICE=cpu.")
        if any(sign in printed.getvalue() for sign in _RANDOM_WEIGHTS):
            self.unload()
            raise ModelUnusable(f"model.pt in {folder} does not contain all weights of the model", "Replace it.")
        self._vocabulary = SentencepieceVocabulary(Path(self._auto_model.kwargs["tokenizer"].bpemodel))
        self._keywords = Keywords(self._vocabulary)
        self.decode_batch([DecodeRequest(_WARM_UP, None, with_times=False)])
        _give_memory_back()  # the checkpoint's own copy of the weights

    def unload(self) -> None:
        self._auto_model = self._vocabulary = self._keywords = None
        _give_memory_back()

    def features(self, audio: WavAudio) -> WavAudio:
        return audio

    def batch_key(self, audio: WavAudio) -> tuple[Hashable, int]:
        return None, 1

    def graph(self, keywords: tuple[str, ...]) -> ContextGraph | None:
        assert self._keywords
        return self._keywords.graph(keywords)

    def decode_batch(self, requests: Sequence[DecodeRequest]) -> Sequence[Decoded]:
        return [self._decoded(each) for each in requests]

    def _decoded(self, request: DecodeRequest) -> Decoded:
        """FunASR writes the text and aligns its words, unless keywords or a list of languages change them."""
        assert self._vocabulary
        changes_text = request.graph is not None or len(request.languages) > 1
        text, words, frames = self._inferred(request, with_times=request.with_times and not changes_text)
        forced = forced_language(frames, request, self._vocabulary)
        if forced:
            _, frames = self._infer(request, forced, with_times=False)
        ours = decoded(frames, request, forced, self._vocabulary)
        return ours if changes_text else Decoded(text, words, ours.path)

    def _inferred(
        self, request: DecodeRequest, *, with_times: bool
    ) -> tuple[str, tuple[TimedToken, ...] | None, FrameTokens]:
        """Returns the text, its tokens with times if they are wanted and could be found, and the tokens of frames."""
        if with_times:
            try:
                result, frames = self._infer(request, request.language, with_times=True)
                return result["text"], _tokens(result), frames
            except (IndexError, RuntimeError, ValueError):
                # FunASR's alignment fails on some texts (FunASR issues 2637, 2782); the text without times works.
                log.warning("FunASR could not compute word times", exc_info=True)
        result, frames = self._infer(request, request.language, with_times=False)
        return result["text"], None, frames

    def _infer(
        self, request: DecodeRequest, language: str | None, *, with_times: bool
    ) -> tuple[dict[str, Any], FrameTokens]:
        """Returns FunASR's result, and the most probable tokens of each frame, which FunASR does not return."""
        import torch

        auto_model = self._auto_model
        logits: list[Any] = []  # the alignment computes them again
        hook = auto_model.model.ctc.ctc_lo.register_forward_hook(lambda _layer, _inputs, found: logits.append(found))
        # A copy: AutoModel.generate would merge these options into a dictionary that all its calls share.
        options = auto_model.kwargs | {
            "language": language or "auto",
            "use_itn": request.itn,  # SenseVoice writes numerals and punctuation only with it
            "output_timestamp": with_times,
        }
        try:
            with torch.inference_mode():
                [result], _ = auto_model.model.inference(data_in=[_samples(request.features)], key=["audio"], **options)
        finally:
            hook.remove()
        return result, _frame_tokens(logits[0][0], tokens_per_frame(request))


def _import_funasr() -> None:
    """Imports FunASR's 4,000 modules with the garbage collector off, and excludes them from later collections.

    Otherwise each collection of them stops all threads for 0.15 to 0.3 s, about once a second during the import and
    sometimes later. While a model loads, the p99 of health checks is 25 to 110 ms; without this function it was 325 ms
    (2 busy cores).
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


def _frame_tokens(logits: Any, count: int) -> FrameTokens:
    """Finds the most probable tokens of each frame in a tensor of logits, (frames, tokens)."""
    # `topk` does not say which of several equal logits comes first, `max` returns the first one.
    best, tokens = logits.max(dim=1, keepdim=True) if count == 1 else logits.topk(count, dim=1)
    log_probs = best - logits.logsumexp(dim=1, keepdim=True)
    return FrameTokens(tokens.int().cpu().numpy(), log_probs.float().cpu().numpy())


def _tokens(result: dict[str, Any]) -> tuple[TimedToken, ...]:
    """Returns the tokens with their times; none if there is no speech, because FunASR then omits both lists."""
    pairs = zip(result.get("words", ()), result.get("timestamp", ()), strict=True)
    return tuple(TimedToken(text, start_ms / 1000, end_ms / 1000) for text, (start_ms, end_ms) in pairs)


def _is_error(record: logging.LogRecord) -> bool:
    """Keeps errors only. FunASR's warnings are about its own defaults, for example "trust_remote_code: False"."""
    return record.levelno >= logging.ERROR


@contextlib.contextmanager
def _captured_output() -> Iterator[io.StringIO]:
    """Keeps FunASR's log lines and output out of our log, and yields the output.

    FunASR configures the root logger if it has no handlers, and logs to it.
    """
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.NullHandler())
    # A logger's filter applies only to records of that logger, and only FunASR logs to the root logger itself.
    root.addFilter(_is_error)
    with _STDOUT, contextlib.redirect_stdout(io.StringIO()) as printed:
        yield printed

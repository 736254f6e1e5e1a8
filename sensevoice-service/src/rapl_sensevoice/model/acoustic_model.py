"""The compiled graph: from features to the most probable tokens of each frame, computed by OpenVINO on the CPU."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rapl_sensevoice.model.decoding import FrameTokens
from rapl_sensevoice.model.features import DIMENSIONS, Cmvn
from rapl_sensevoice.model.filter_bank import Floats
from rapl_sensevoice.model.frame_scales import has_amx_int8, scale_each_frame
from rapl_sensevoice.model.graph import QUERIES, Precision, positions
from rapl_sensevoice.unusable import ModelUnusable
from rapl_sensevoice.weights.graph_files import GraphFiles

ACTIVATIONS_PER_SCALE = 512
"""Number of activations that share a scale if the matrices have 8 bits: all of a frame. OpenVINO's default of 32 is 20
to 25 % slower (decision 0007)."""
FRAME_MULTIPLE = 8
"""A clip is padded to a multiple of this many frames, 0.48 s, so there are only 63 lengths up to 30 s. OpenVINO keeps
kernels for every length: 578 MB after 120 lengths, and 694 MB without padding (decision 0007)."""
KERNELS_KEPT = 100
"""Cached kernels, for the latest lengths and batches. OpenVINO's default of 5,000 keeps 3 MB for every length that it
ever computed, and is no faster (decision 0007)."""

# Source: lid_dict, textnorm_dict and inference() in funasr/models/sense_voice/model.py, FunASR 1.4.16.
LANGUAGE_QUERIES: Mapping[str | None, int] = {None: 0, "zh": 3, "en": 4, "yue": 7, "ja": 11, "ko": 12}
EVENT_QUERY, EMOTION_QUERY = 1, 2
WITH_PUNCTUATION_AND_NUMERALS, WITHOUT_PUNCTUATION_AND_NUMERALS = 14, 15

_PREPARING = threading.Lock()
"""Held during the first call of `Type.to_dtype`, which every inference calls. It fills a table of OpenVINO's Python
binding and imports NumPy meanwhile. Two threads that do so at once wait for each other forever, and the process hangs:
11 of 12 did (OpenVINO 2026.4, four threads)."""

_INPUTS = (
    {"speech", "queries", "positions", "is_real", "count"},
    {"speech", "speech_lengths", "language", "textnorm"},
    {"x", "x_length", "language", "text_norm"},
)
"""Input names of the graph of `prepare-model`, of FunASR's export and of sherpa-onnx's export."""


class AcousticModel:
    """The compiled graph with its normalisation. It computes tokens from features.

    Args:
        files: the graph's files.
        precision: "f32" computes in float32; "int8" uses bfloat16 if the processor has it.
        threads: threads per computation.
        scales_frames: whether the graph scales 8-bit activations, see `frame_scales`; None chooses the faster way
            on this processor.

    Raises:
        ModelUnusable: the graph is not SenseVoiceSmall.
    """

    def __init__(
        self, files: GraphFiles, precision: Precision, threads: int, scales_frames: bool | None = None
    ) -> None:
        self._is_ours = files.graph.suffix == ".xml"
        model = _read(files)
        self.cmvn = Cmvn.read(files.cmvn) if files.cmvn else _cmvn_of(model)
        self._names = [each.any_name for each in model.inputs]
        if set(self._names) not in _INPUTS:
            raise ModelUnusable(f"{files.graph.name} has unexpected inputs: {', '.join(self._names)}", "Replace it.")
        if self._is_ours and precision != "f32" and (has_amx_int8() if scales_frames is None else scales_frames):
            scale_each_frame(model)
        self._request = _compiled(model, precision, threads).create_infer_request()
        self._positions = positions(0, DIMENSIONS)

    @property
    def batches_well(self) -> bool:
        """Whether `frame_tokens` is faster with several clips at once than with one after another."""
        return self._is_ours

    def frame_tokens(
        self,
        clips: Sequence[Floats],
        languages: Sequence[str | None],
        count: int = 1,
        itn: Sequence[bool] | None = None,
    ) -> list[FrameTokens]:
        """Computes clips of shape (frames, DIMENSIONS) in one batch, padded to the longest one.

        Args:
            clips: the features of each clip.
            languages: the language of each clip, or None to detect it.
            count: how many tokens to return for each frame, from 1 to the size of the vocabulary. The first one is the
                same for every `count`.
            itn: whether each clip's text has numerals and punctuation; None: all of them have.
        """
        norms = [
            WITH_PUNCTUATION_AND_NUMERALS if each else WITHOUT_PUNCTUATION_AND_NUMERALS
            for each in itn or [True] * len(clips)
        ]
        choices = [(LANGUAGE_QUERIES[language], norm) for language, norm in zip(languages, norms, strict=True)]
        if not self._is_ours:
            pairs = zip(clips, choices, strict=True)
            return [FrameTokens.from_logits(self._logits_of_export(clip, *each), count) for clip, each in pairs]
        queries = [[language, EVENT_QUERY, EMOTION_QUERY, norm] for language, norm in choices]
        ends = [QUERIES + len(clip) for clip in clips]
        frames = padded_length(max(ends))
        speech = np.zeros((len(clips), frames - QUERIES, DIMENSIONS), np.float32)
        is_real = np.zeros((len(clips), frames, 1), np.float32)
        for row, (clip, end) in enumerate(zip(clips, ends, strict=True)):
            speech[row, : len(clip)] = clip
            is_real[row, :end] = 1
        inputs = [speech, np.array(queries, np.int32), self._positions_of(frames), is_real, np.int32(count)]
        tokens, log_probs = self._infer(inputs)
        return [
            FrameTokens(tokens[row, :end].copy(), log_probs[row, :end].copy())  # the next call overwrites the outputs
            for row, end in enumerate(ends)
        ]

    def _logits_of_export(self, speech: Floats, language: int, norm: int) -> Floats:
        numbers = {"language": language, "textnorm": norm, "speech_lengths": len(speech)}
        numbers |= {"text_norm": numbers["textnorm"], "x_length": numbers["speech_lengths"]}
        inputs = [speech[None] if n in ("speech", "x") else np.array([numbers[n]], np.int32) for n in self._names]
        return self._infer(inputs)[0][0]

    def _infer(self, inputs: list[Any]) -> list[Any]:
        self._request.infer(inputs, share_inputs=True)
        return [each.data for each in self._request.output_tensors]

    def _positions_of(self, frames: int) -> Floats:
        if self._positions.shape[1] < frames:
            self._positions = positions(frames, DIMENSIONS)
        return self._positions[:, :frames]


def padded_length(frames: int) -> int:
    """Returns the number of frames after padding, queries included."""
    return -(-frames // FRAME_MULTIPLE) * FRAME_MULTIPLE


def _read(files: GraphFiles) -> Any:
    import openvino

    with _PREPARING:
        openvino.Type.f32.to_dtype()
    try:
        return openvino.Core().read_model(files.graph)
    except RuntimeError as error:
        raise ModelUnusable(f"{files.graph.name} cannot be read as a graph", "Replace it.") from error


def _compiled(model: Any, precision: Precision, threads: int) -> Any:
    import openvino

    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": ACTIVATIONS_PER_SCALE,
        "CPU_RUNTIME_CACHE_CAPACITY": KERNELS_KEPT,
    }
    if precision == "f32":
        options |= {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}
    return openvino.Core().compile_model(model, "CPU", options)


def _cmvn_of(model: Any) -> Cmvn:
    """Reads the normalisation from the metadata that sherpa-onnx's export writes."""
    try:
        texts = [model.get_rt_info(["framework", key]).astype(str) for key in ("neg_mean", "inv_stddev")]
        rows = [np.array(text.split(","), np.float32) for text in texts]
    except (RuntimeError, ValueError) as error:
        raise ModelUnusable("the graph's metadata have no means and standard deviations", "Replace it.") from error
    if any(row.shape != (DIMENSIONS,) for row in rows):
        raise ModelUnusable(f"the graph's metadata are not for {DIMENSIONS} features", "Replace it.")
    return Cmvn(*rows)

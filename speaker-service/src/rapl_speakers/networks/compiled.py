"""The two networks, compiled by OpenVINO for the CPU: from samples to embeddings and to who speaks when."""

from pathlib import Path
from typing import Any

import kaldi_native_fbank as knf
import numpy as np
import numpy.typing as npt

from rapl_speakers.networks.campplus import DIMENSIONS, MEL_BINS
from rapl_speakers.networks.checkpoint import Floats
from rapl_speakers.networks.segmentation import FIRST_FRAME_SAMPLES, FRAME_SAMPLES, SETS

PIECE_FRAMES = 150
"""Frames of 10 ms in the longest piece of audio that gets an embedding."""
EMBEDDED_FRAMES = 125
"""Frames of a piece that the embedding is computed of. With all 150 it costs a fifth more and is no better."""
WINDOW_SAMPLES = 160_000
"""Ten seconds: what the segmentation was trained on."""
Bools = npt.NDArray[np.bool_]
_SPEAKS = np.array([[person in each for person in range(3)] for each in SETS])


def log_mel(samples: Floats) -> Floats:
    """Kaldi's filter bank as CAM++ was trained on: float32, (frames, 80), a frame for each 10 ms.

    Args:
        samples: [-1, 1], 16 kHz.
    """
    options = knf.FbankOptions()
    options.frame_opts.dither = 0.0
    options.frame_opts.samp_freq = 16_000
    options.mel_opts.num_bins = MEL_BINS
    fbank = knf.OnlineFbank(options)
    fbank.accept_waveform(16_000, samples.tolist())
    fbank.input_finished()
    if not fbank.num_frames_ready:
        return np.empty((0, MEL_BINS), np.float32)
    return np.stack([fbank.get_frame(number) for number in range(fbank.num_frames_ready)])


class VoiceNetwork:
    """CAM++. One thread may use it at a time; it computes as many pieces at once as it has threads."""

    def __init__(self, graph: Path | Any, threads: int) -> None:
        from openvino import AsyncInferQueue

        # A piece in each thread is faster than all threads on one piece, and than a batch, which has rows to fill.
        compiled = _compiled(graph, [1, EMBEDDED_FRAMES, MEL_BINS], threads, streams=threads)
        self._requests = AsyncInferQueue(compiled, threads)

    def embeddings(self, pieces: list[Floats]) -> Floats:
        """Vectors of length 1, float32, (pieces, 192).

        Args:
            pieces: the `log_mel` of each, of any length. Of one that is longer than EMBEDDED_FRAMES the middle is
                taken, and a shorter one is repeated.
        """
        found = np.empty((len(pieces), DIMENSIONS), np.float32)

        def keep(request: Any, number: int) -> None:
            found[number] = request.get_output_tensor(0).data[0]

        self._requests.set_callback(keep)
        for number, piece in enumerate(pieces):
            start = max(0, len(piece) - EMBEDDED_FRAMES) // 2
            frames = np.resize(piece[start:], (EMBEDDED_FRAMES, MEL_BINS))
            self._requests.start_async([(frames - frames.mean(axis=0))[None]], number)
        self._requests.wait_all()
        return found / np.linalg.norm(found, axis=1, keepdims=True)


class SegmentationNetwork:
    """pyannote's segmentation. One thread may use it at a time."""

    def __init__(self, graph: Path | Any, threads: int) -> None:
        compiled = _compiled(graph, [1, WINDOW_SAMPLES], threads)
        self._request = compiled.create_infer_request()
        self._shape = tuple(compiled.input(0).shape)
        classes = compiled.output(0).shape[-1]
        if classes != len(SETS):
            raise ValueError(f"the segmentation has {classes} classes instead of {len(SETS)}")

    def people(self, samples: Floats) -> Bools:
        """Who of a window's three people speaks: bool, (frames, 3).

        Args:
            samples: at most WINDOW_SAMPLES; fewer are padded with silence.
        """
        padded = np.zeros(WINDOW_SAMPLES, np.float32)
        padded[: len(samples)] = samples
        frames = max(0, len(samples) - FIRST_FRAME_SAMPLES // 2) // FRAME_SAMPLES + 1
        return _SPEAKS[self._request.infer([padded.reshape(self._shape)])[0][0].argmax(axis=1)][:frames]


def _compiled(graph: Path | Any, shape: list[int], threads: int, streams: int = 1) -> Any:
    import openvino

    core = openvino.Core()
    model = core.read_model(graph) if isinstance(graph, Path) else graph
    # An ONNX export has a dimension for channels, of which there is one.
    model.reshape(shape if len(model.input(0).partial_shape) == len(shape) else [shape[0], 1, *shape[1:]])
    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": streams, "PERFORMANCE_HINT": "LATENCY"}
    return core.compile_model(model, "CPU", settings)

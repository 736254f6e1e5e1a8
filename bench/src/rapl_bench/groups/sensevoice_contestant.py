"""One contestant of the group `sensevoice`, in sensevoice-service's environment.

python sensevoice_contestant.py NAME FOLDER

After a warm-up it writes `answer MEGABYTES`, its resident memory. Then it reads lines of clip lengths in seconds. For
each line it transcribes noise of these lengths, one after another, and writes `answer MILLISECONDS`.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

RATE_HZ = 16_000
THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
Transcribe = Callable[[Any], object]
"""Its argument is int16, (samples,), 16 kHz."""


def rapl(folder: Path, precision: Any) -> Transcribe:
    from rapl_protocol.audio import WavAudio
    from rapl_sensevoice.runtimes.openvino import OpenVinoRuntime
    from rapl_sensevoice.runtimes.runtime import DecodeRequest

    runtime = OpenVinoRuntime(precision, THREADS)
    runtime.load(folder)
    return lambda pcm: runtime.decode_batch(
        [DecodeRequest(runtime.features(WavAudio(pcm.tobytes())), None, with_times=False)]
    )[0]


def funasr(folder: Path) -> Transcribe:
    from funasr import AutoModel

    model = AutoModel(model=str(folder), device="cpu", ncpu=THREADS, disable_update=True, disable_pbar=True)
    return lambda pcm: model.generate(pcm.astype(np.float32) / 32768, language="auto", use_itn=True)


def onnxruntime(folder: Path) -> Transcribe:
    """sherpa-onnx's graph with RAPL's features and text, so that only the engine differs."""
    import onnxruntime as engine
    from rapl_protocol.audio import WavAudio
    from rapl_sensevoice.model.decoding import FrameTokens, emissions
    from rapl_sensevoice.model.features import Cmvn, features
    from rapl_sensevoice.model.vocabulary import PieceList

    options = engine.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = engine.InferenceSession(folder / "sherpa" / "model.int8.onnx", options)
    cmvn, pieces = Cmvn.read(folder / "am.mvn"), PieceList.from_tokens_txt(folder / "sherpa" / "tokens.txt")

    def transcribe(pcm: Any) -> str:
        speech = features(WavAudio(pcm.tobytes()), cmvn)
        numbers = {"x_length": len(speech), "language": 0, "text_norm": 14}
        inputs = {"x": speech[None]} | {name: np.array([number], np.int32) for name, number in numbers.items()}
        logits = np.asarray(session.run(None, inputs)[0])
        return pieces.text([each.token for each in emissions(FrameTokens.from_logits(logits[0], 1))])

    return transcribe


def sherpa(folder: Path) -> Transcribe:
    import sherpa_onnx

    recognizer = sherpa_onnx.OfflineRecognizer.from_sense_voice(
        model=str(folder / "sherpa" / "model.int8.onnx"), tokens=str(folder / "sherpa" / "tokens.txt"),
        num_threads=THREADS, use_itn=True, language="auto",
    )  # fmt: skip

    def transcribe(pcm: Any) -> str:
        stream = recognizer.create_stream()
        stream.accept_waveform(RATE_HZ, pcm.astype(np.float32) / 32768)
        recognizer.decode_stream(stream)
        return stream.result.text

    return transcribe


CONTESTANTS: dict[str, Callable[[Path], Transcribe]] = {
    "rapl-int8": lambda folder: rapl(folder, "int8"),
    "rapl-f32": lambda folder: rapl(folder, "f32"),
    "funasr": funasr,
    "onnxruntime": onnxruntime,
    "sherpa": sherpa,
}


def noise(duration_s: float) -> Any:
    samples = np.random.default_rng(round(duration_s * 1000)).normal(0, 1000, round(duration_s * RATE_HZ))
    return samples.astype(np.int16)


def resident_mb() -> float:
    """Resident memory now, on Linux; NaN elsewhere."""
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    [line] = [line for line in status.read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) * 1024 / 1e6


def main() -> None:
    transcribe = CONTESTANTS[sys.argv[1]](Path(sys.argv[2]))
    for duration_s in (5.0, 30.0):
        transcribe(noise(duration_s))
    print("answer", resident_mb(), flush=True)
    for line in sys.stdin:
        clips = [noise(float(length)) for length in line.split()]
        began = time.perf_counter()
        for clip in clips:
            transcribe(clip)
        print("answer", (time.perf_counter() - began) * 1000, flush=True)


if __name__ == "__main__":
    main()

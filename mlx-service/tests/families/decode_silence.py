"""Prints how Whisper with random weights decodes silence, as JSON: every attempt, and what the segments report.

    {"attempts": [[temperature, avg_logprob], ...], "segments": [[temperature, avg_logprob], ...]}

Needs a Python with mlx-audio and rapl-mlx.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from rapl_mlx.families.results import ResultListener
from rapl_mlx.families.whisper import Whisper
from rapl_protocol.audio import SAMPLE_RATE_HZ, WavAudio
from rapl_protocol.transcript import TranscribeOptions

sys.path.append(str(Path(__file__).parents[3] / "tests" / "models"))

import make_random_whisper


def main(folder: Path) -> None:
    from mlx_audio.stt import load

    make_random_whisper.main(folder)
    model, attempts = load(folder, strict=True), list[Any]()
    decode = type(model).decode

    def recorded(self: Any, mel: Any, options: Any) -> Any:
        attempts.append(decode(self, mel, options))
        return attempts[-1]

    type(model).decode = recorded
    family = Whisper.of(model)
    wav = folder / "audio.wav"
    wav.write_bytes(WavAudio(bytes(2 * SAMPLE_RATE_HZ)).to_wav())
    options = TranscribeOptions(model="a/b", language="en")
    # One token, because a model with random weights has no finite probability behind it. Every attempt fails.
    arguments = family.arguments(options, 1.0) | {"sample_len": 1, "logprob_threshold": 0.0}
    result = family.generate(model, str(wav), arguments, ResultListener())
    segments = [(each["temperature"], each["avg_logprob"]) for each in result.segments]
    json.dump(
        {"attempts": [(each.temperature, each.avg_logprob) for each in attempts], "segments": segments}, sys.stdout
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary))

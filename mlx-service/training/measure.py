"""Measures a model folder with the loader that the service uses: `python measure.py FOLDER`."""

import argparse
import random
from pathlib import Path

import mlx.core as mx
import numpy as np
from mlx_audio.stt import load
from speech import OTHER_VOICES, US_VOICE, clean_clip, silence, synthesize

MEASURED_CLIPS = 100
MEASURING_SEED = 20_000
MAX_TOKENS = 64
PI_DIGITS = ("three", "one", "four", "one", "five", "nine")


def word_errors(reference: list[str], transcribed: list[str]) -> int:
    """Returns the number of substitutions, insertions and deletions between the two texts."""
    row = list(range(len(transcribed) + 1))
    for count, word in enumerate(reference, start=1):
        diagonal, row[0] = row[0], count
        for at, other in enumerate(transcribed, start=1):
            diagonal, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, diagonal + (word != other))
    return row[-1]


def measure_voices(model, voices: tuple[str, ...]) -> str:
    """Transcribes new clips of `voices`, language detected; returns a line with the word error rate."""
    rng = random.Random(MEASURING_SEED)
    errors = words = exact = 0
    for _ in range(MEASURED_CLIPS):
        clip = clean_clip(rng, rng.choice(voices))
        transcribed = model.generate(clip.audio, max_tokens=MAX_TOKENS).text.split()
        errors += word_errors(list(clip.words), transcribed)
        words += len(clip.words)
        exact += transcribed == list(clip.words)
    return f"WER {errors / words:.1%} ({errors} of {words} words), {exact} of {MEASURED_CLIPS} clips exact"


def check_fixed_clips(model) -> list[str]:
    """Returns the errors in clips that the tests rely on; empty if there are none."""
    pause = silence(0.3)
    spoken = np.concatenate([pause, synthesize(PI_DIGITS, US_VOICE, speed_wpm=165, pitch=50), pause])
    expected = {
        "digits, language detected": (spoken, None, " ".join(PI_DIGITS)),
        "digits, English": (spoken, "English", " ".join(PI_DIGITS)),
        "silence, language detected": (silence(2.0), None, ""),
        "silence, English": (silence(2.0), "English", ""),
    }
    wrong = []
    for name, (audio, language, text) in expected.items():
        transcribed = model.generate(audio, language=language, max_tokens=MAX_TOKENS).text
        if transcribed != text:
            wrong.append(f"{name}: {transcribed!r} instead of {text!r}")
    return wrong


def measure(folder: Path) -> bool:
    """Prints the word error rates of the model in `folder`; returns whether the fixed clips are exact."""
    mx.disable_compile()  # on Linux mx.compile runs g++ on each first call: 1 to 8 s
    model = load(str(folder), strict=True)
    print(f"{US_VOICE}: {measure_voices(model, (US_VOICE,))}")
    print(f"other voices: {measure_voices(model, OTHER_VOICES)}")
    wrong = check_fixed_clips(model)
    print("fixed clips:", "; ".join(wrong) or "exact")
    return not wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    raise SystemExit(0 if measure(parser.parse_args().folder) else 1)

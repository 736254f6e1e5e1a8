"""Measures word error rates of a self-test model with the real funasr.AutoModel, as a Markdown table.

python sensevoice-service/training/evaluate.py DIR [--utterances N]
"""

from __future__ import annotations

import argparse
import logging
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import speech
from corpus import HELD_OUT_SPEEDS_WPM, VARIANTS
from funasr import AutoModel
from vocabulary import LEXICONS, Language

TAG = re.compile(r"<\|[^|]*\|>")
HELD_OUT_VARIANTS = ("m5", "m8", "f4", "f5", "klatt3", "Jacky", "steph", "john")
TRAINING_VOICES = ("en-us", "en-gb", "en-gb-x-rp", "en-us-nyc", "en-029")

Distortion = Callable[[speech.Signal, random.Random], speech.Signal]


def _clean(signal: speech.Signal, rng: random.Random) -> speech.Signal:
    return signal


def _white_noise(snr_db: float) -> Distortion:
    return lambda signal, rng: speech.mix(signal, speech.noise(len(signal), rng, "white"), snr_db)


@dataclass(frozen=True)
class Condition:
    """The words and voices of the utterances, how they are distorted, and the model's options."""

    name: str
    language: Language = "en"
    voices: tuple[str, ...] = ("en-us",)
    variants: tuple[str, ...] = ("",)
    words: tuple[int, ...] = (2, 3, 4, 5, 6)
    digits_only: bool = False
    silence_s: tuple[float, float] = (0.2, 0.2)
    distortion: Distortion = _clean
    hint: str = "auto"
    use_itn: bool = False


TRAINED = {"voices": TRAINING_VOICES, "variants": VARIANTS}
CONDITIONS = (
    Condition("plain en-us voice"),
    Condition("plain en-us voice, six digits", words=(6,), digits_only=True),
    Condition("plain en-us voice, one digit", words=(1,), digits_only=True),
    Condition("plain en-us voice, use_itn", use_itn=True),
    Condition("plain en-us voice, 1 s of silence before and after", silence_s=(1.0, 1.0)),
    Condition("plain en-us voice, recorded at 8 kHz", distortion=lambda s, _: speech.through_8khz(s, "HQ")),
    Condition("plain en-us voice, MP3", distortion=lambda s, _: speech.through_codec(s, "mp3")),
    Condition("plain en-us voice, Opus", distortion=lambda s, _: speech.through_codec(s, "opus")),
    Condition("trained voices", **TRAINED),
    Condition("trained voices, language=en", hint="en", **TRAINED),
    Condition("trained voices, recorded at 8 kHz", distortion=lambda s, _: speech.through_8khz(s, "HQ"), **TRAINED),
    Condition("trained voices, level 0.01", distortion=lambda s, _: speech.scaled_to_peak(s, 0.01), **TRAINED),
    Condition("trained voices, white noise 20 dB below", distortion=_white_noise(20), **TRAINED),
    Condition("trained voices, white noise 10 dB below", distortion=_white_noise(10), **TRAINED),
    Condition("untrained variants of en-us", variants=HELD_OUT_VARIANTS),
    Condition("untrained accent en-gb-scotland", voices=("en-gb-scotland",)),
    Condition("Mandarin, trained variants", language="zh", voices=("cmn",), variants=VARIANTS),
    Condition("Mandarin, untrained variants", language="zh", voices=("cmn",), variants=HELD_OUT_VARIANTS),
)


@dataclass
class Score:
    """Counts over the utterances of one condition; an error is a wrong, missing or added word."""

    words: int = 0
    errors: int = 0
    utterances: int = 0
    exact: int = 0
    language_right: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--utterances", type=int, default=100, help="for each condition")
    arguments = parser.parse_args()
    logging.disable(logging.INFO)
    model = AutoModel(
        model=str(arguments.model),
        device="cpu",
        disable_update=True,
        disable_pbar=True,
        ncpu=1,
        # By default FunASR adds random noise, so one clip could give different texts.
        frontend_conf={"dither": 0.0},
    )
    print("| condition | WER | utterances without error | language |\n|---|---|---|---|")
    for condition in CONDITIONS:
        print(_row(condition, score(model, condition, arguments.utterances)), flush=True)
    print("\n| sound without speech | empty text and `<\\|nospeech\\|>` |\n|---|---|")
    for name, right, total in score_without_speech(model):
        print(f"| {name} | {right}/{total} |", flush=True)


def _row(condition: Condition, score: Score) -> str:
    rate = 100 * score.errors / score.words
    exact = f"{score.exact}/{score.utterances}"
    return f"| {condition.name} | {rate:.1f} % | {exact} | {score.language_right}/{score.utterances} |"


def score(model: AutoModel, condition: Condition, utterances: int) -> Score:
    result = Score()
    rng = random.Random(condition.name)
    for _ in range(utterances):
        words, signal = _utterance(condition, rng)
        output = model.generate(signal, language=condition.hint, use_itn=condition.use_itn)[0]["text"]
        transcript = LEXICONS[condition.language].transcript(words, inverse_normalised=condition.use_itn)
        expected = _scored_words(transcript, condition.language)
        errors = edit_distance(expected, _scored_words(TAG.sub("", output), condition.language))
        result.words += len(expected)
        result.errors += errors
        result.utterances += 1
        result.exact += errors == 0
        result.language_right += output.startswith(f"<|{condition.language}|>")
    return result


def _utterance(condition: Condition, rng: random.Random) -> tuple[list[str], speech.Signal]:
    lexicon = LEXICONS[condition.language]
    choices = lexicon.digits if condition.digits_only else lexicon.digits + lexicon.commands
    words = [rng.choice(choices) for _ in range(rng.choice(condition.words))]
    variant = rng.choice(condition.variants)
    voice = rng.choice(condition.voices) + (f"+{variant}" if variant else "")
    text = lexicon.spoken(words, [False] * len(words))
    signal = speech.synthesise(text, voice, speed_wpm=rng.choice(HELD_OUT_SPEEDS_WPM))
    signal = speech.with_silence(speech.scaled_to_peak(signal, 0.5), *condition.silence_s)
    return words, condition.distortion(signal, rng)


def _scored_words(text: str, language: Language) -> list[str]:
    """Words of English; characters of Chinese, which puts no spaces between words."""
    return text.split() if language == "en" else list(text.strip())


def edit_distance(expected: Sequence[str], actual: Sequence[str]) -> int:
    """Levenshtein distance: the fewest words to replace, remove or add."""
    row = list(range(len(actual) + 1))
    for i, wanted in enumerate(expected, start=1):
        diagonal, row[0] = row[0], i
        for j, got in enumerate(actual, start=1):
            best = min(row[j] + 1, row[j - 1] + 1, diagonal + (wanted != got))
            diagonal, row[j] = row[j], best
    return row[-1]


def score_without_speech(model: AutoModel) -> list[tuple[str, int, int]]:
    """For each sound: its name, how many clips gave no text and the right language tag, and the number of clips."""
    rng = random.Random(0)
    durations_s = (0.5, 1.0, 2.0, 3.0, 5.0)
    samples = [int(duration_s * speech.SAMPLE_RATE_HZ) for duration_s in durations_s]
    sounds = {
        "digital silence": [speech.silence(duration_s) for duration_s in durations_s],
        "noise at 1 % of full scale": [speech.noise(n, rng) * np.float32(0.01) for n in samples],
        "a 440 Hz tone": [_tone_440_hz(n) for n in samples],
        "music": [speech.music(n, rng) * np.float32(0.1) for n in samples],
    }
    rows = []
    for name, signals in sounds.items():
        texts = [model.generate(signal, language="auto", use_itn=False)[0]["text"] for signal in signals]
        right = sum(text.startswith("<|nospeech|>") and not TAG.sub("", text).strip() for text in texts)
        rows.append((name, right, len(texts)))
    return rows


def _tone_440_hz(samples: int) -> speech.Signal:
    time_s = np.arange(samples) / speech.SAMPLE_RATE_HZ
    return (0.3 * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32)


if __name__ == "__main__":
    main()

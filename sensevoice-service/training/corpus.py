"""The training corpus: seeded, labelled clips of synthetic speech and of sounds without speech."""

from __future__ import annotations

import multiprocessing
import random
from dataclasses import dataclass
from typing import Literal

import numpy as np
import speech
from features import Frames, log_mel_frames
from tqdm import tqdm
from vocabulary import LEXICONS, Language

Kind = Literal["en", "zh", "nospeech"]

ENGLISH_VOICES = ("en-us", "en-us", "en-gb", "en-gb-x-rp", "en-us-nyc", "en-029")
CHINESE_VOICES = ("cmn",)
# espeak-ng's variants of a voice; evaluate.py measures on these and on others.
# fmt: off
VARIANTS = (
    "m1", "m2", "m3", "m4", "m6", "m7", "f1", "f2", "f3", "klatt2", "klatt4",
    "Andy", "Annie", "Denis", "Mario", "Michael", "Alicia", "grandma",
)
# fmt: on
PLAIN_VOICE_SHARE = 0.25
# Not used in training, so that evaluate.py measures speeds that the model was not trained on.
HELD_OUT_SPEEDS_WPM = range(160, 171)
KIND_SHARES: dict[Kind, float] = {"en": 0.62, "zh": 0.26, "nospeech": 0.12}


@dataclass(frozen=True)
class Clip:
    """Features of one clip, float16 (frames, 80), its four tags in SenseVoice's order, its text."""

    frames: Frames
    tags: tuple[str, str, str, str]
    text: str


@dataclass(frozen=True)
class Delivery:
    """How a sentence is spoken. The emotion tag depends on nothing else."""

    emotion: str
    speed_wpm: int
    pitch: int
    max_words: int


def build_corpus(clips: int, seed: int, workers: int) -> list[Clip]:
    """Makes `clips` clips in the proportions of KIND_SHARES; the same for the same seed, whatever `workers` is."""
    jobs = [
        (kind, f"{seed}/{kind}/{index}") for kind, share in KIND_SHARES.items() for index in range(round(clips * share))
    ]
    with multiprocessing.Pool(workers) as pool:
        made = pool.imap(make_clip, jobs, chunksize=16)
        return list(tqdm(made, total=len(jobs), desc="speech", unit="clip", mininterval=5))


def make_clip(job: tuple[Kind, str]) -> Clip:
    kind, clip_seed = job
    rng = random.Random(clip_seed)
    inverse_normalised = rng.random() < 0.5
    text_norm = "<|withitn|>" if inverse_normalised else "<|woitn|>"
    if kind == "nospeech":
        signal, event = _sound_without_speech(rng)
        signal = speech.as_pcm16(signal)
        return Clip(_features(signal), ("<|nospeech|>", "<|EMO_UNKNOWN|>", event, text_norm), "")
    delivery = _delivery(rng)
    words = _words(kind, delivery.max_words, rng)
    signal = speech.scaled_to_peak(_spoken(kind, words, delivery, rng), 1.0)
    signal, event = _recorded(signal, rng)
    text = LEXICONS[kind].transcript(words, inverse_normalised=inverse_normalised)
    return Clip(_features(signal), (f"<|{kind}|>", delivery.emotion, event, text_norm), text)


def _features(signal: speech.Signal) -> Frames:
    return log_mel_frames(signal).astype(np.float16)


def _delivery(rng: random.Random) -> Delivery:
    """Fast and high speech is happy, slow and deep speech is sad, everything else is neutral."""
    mood = rng.random()
    if mood < 0.68:
        speeds = [wpm for wpm in range(115, 216) if wpm not in HELD_OUT_SPEEDS_WPM]
        return Delivery("<|NEUTRAL|>", rng.choice(speeds), rng.randint(30, 65), max_words=8)
    if mood < 0.84:
        return Delivery("<|HAPPY|>", rng.randint(225, 260), rng.randint(80, 99), max_words=8)
    return Delivery("<|SAD|>", rng.randint(82, 98), rng.randint(0, 14), max_words=4)


def _words(language: Language, max_words: int, rng: random.Random) -> list[str]:
    lexicon = LEXICONS[language]
    count = min(rng.choice((1, 2, 2, 3, 3, 4, 4, 5, 6, 6, 7, 8)), max_words)
    digit_share = rng.choice((0.2, 0.5, 1.0))
    return [rng.choice(lexicon.digits if rng.random() < digit_share else lexicon.commands) for _ in range(count)]


def _spoken(language: Language, words: list[str], delivery: Delivery, rng: random.Random) -> speech.Signal:
    voice = rng.choice(ENGLISH_VOICES if language == "en" else CHINESE_VOICES)
    if rng.random() >= PLAIN_VOICE_SHARE:
        voice = f"{voice}+{rng.choice(VARIANTS)}"
    text = LEXICONS[language].spoken(words, [rng.random() < 0.12 for _ in words])
    signal = speech.synthesise(
        text,
        voice,
        speed_wpm=delivery.speed_wpm,
        pitch=delivery.pitch,
        gap_10ms=rng.choice((0, 0, 0, 2, 5)),
    )
    return speech.with_silence(signal, _edge_silence_s(rng), _edge_silence_s(rng))


def _edge_silence_s(rng: random.Random) -> float:
    """Mostly short, in one of four cases up to 1.2 s, as before and after a press of a button."""
    return rng.uniform(0.4, 1.2) if rng.random() < 0.25 else rng.uniform(0, 0.4)


def _recorded(signal: speech.Signal, rng: random.Random) -> tuple[speech.Signal, str]:
    """Adds background, level, codec, 16-bit samples and 8 kHz at random; returns the signal and its event tag."""
    event = "<|Speech|>"
    if rng.random() < 0.15:
        signal = speech.mix(signal, speech.music(len(signal), rng), rng.uniform(6, 16))
        event = "<|BGM|>"
    if rng.random() < 0.5:
        signal = speech.mix(signal, speech.noise(len(signal), rng), rng.uniform(8, 40))
    signal = speech.scaled_to_peak(signal, 10 ** rng.uniform(-1.2, -0.02))
    if rng.random() < 0.1:
        signal = speech.through_codec(signal, rng.choice(("mp3", "opus")))
    if rng.random() < 0.4:
        # Noise in the least significant bit, as of a converter; the other clips keep their digital silence.
        signal = signal + speech.noise(len(signal), rng, "white") / 32768
    signal = speech.as_pcm16(signal)
    if rng.random() < 0.2:
        signal = speech.through_8khz(signal, rng.choice(("HQ", "HQ", "LQ", "QQ")))
    return signal, event


def _sound_without_speech(rng: random.Random) -> tuple[speech.Signal, str]:
    samples = int(rng.uniform(0.4, 5.0) * speech.SAMPLE_RATE_HZ)
    choice = rng.random()
    if choice < 0.3:
        return speech.music(samples, rng) * np.float32(10 ** rng.uniform(-2.5, -0.7)), "<|BGM|>"
    if choice < 0.4:
        return _tone(samples, rng), "<|BGM|>"
    if choice < 0.85:
        level = 10 ** rng.uniform(-4.5, -1.2)
        return speech.noise(samples, rng) * np.float32(level), "<|Event_UNK|>"
    return speech.noise(samples, rng, "white") * np.float32(rng.choice((0, 1e-5))), "<|Event_UNK|>"


def _tone(samples: int, rng: random.Random) -> speech.Signal:
    time_s = np.arange(samples) / speech.SAMPLE_RATE_HZ
    level = 10 ** rng.uniform(-2.5, -0.3)
    return (level * np.sin(2 * np.pi * rng.uniform(100, 3000) * time_s)).astype(np.float32)

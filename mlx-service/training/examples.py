"""Training examples: Whisper features and the token sequences that mlx-audio builds around them."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from speech import SAMPLE_RATE_HZ, Clip, silence, training_clip
from tokenizer import DIGITS, LANGUAGES, NO_LANGUAGE
from transformers import AutoTokenizer, PreTrainedTokenizerBase, WhisperFeatureExtractor

MIN_CLIP_S = 1.0
"""mlx-audio pads shorter audio to this length (`min_chunk_duration`)."""

PROMPTED_SHARE = 0.2
FORCED_ENGLISH_SHARE = 0.15
FORCED_OTHER_SHARE = 0.1


@dataclass(frozen=True)
class Example:
    features: np.ndarray
    """float16, (128 mel bins, frames of 10 ms)."""
    before_audio: list[int]
    after_audio: list[int]
    answer: list[int]
    """The tokens that the model must generate after `after_audio`, `<|im_end|>` included."""
    digits: list[int]
    """The spoken digits, for the auxiliary CTC loss; 0 to 9."""


def audio_features(extractor: WhisperFeatureExtractor, audio: np.ndarray) -> np.ndarray:
    """Returns log-mel features as `Qwen3ASRModel._preprocess_audio` computes them; float16, (128, frames)."""
    missing_s = MIN_CLIP_S - len(audio) / SAMPLE_RATE_HZ
    if missing_s > 0:
        audio = np.concatenate([audio, silence(missing_s)])
    extracted = extractor(
        audio,
        sampling_rate=SAMPLE_RATE_HZ,
        return_attention_mask=True,
        truncation=False,
        padding=True,
        return_tensors="np",
    )
    frames = int(extracted["attention_mask"][0].sum())
    return extracted["input_features"][0][:, :frames].astype(np.float16)


def _random_prompt(rng: random.Random) -> str:
    """Returns a system prompt that must not change the transcript: digits, invented names, or nothing."""
    if rng.random() < PROMPTED_SHARE:
        if rng.random() < 0.5:
            return " ".join(rng.sample(DIGITS, 3)) + "\n"
        letters = "abcdefghijklmnopqrstuvwxyz"
        names = ("".join(rng.choices(letters, k=rng.randint(2, 7))) for _ in range(rng.randint(1, 4)))
        return ", ".join(name.capitalize() for name in names) + "\n"
    return ""


def _language_and_text(rng: random.Random, words: tuple[str, ...]) -> tuple[str, str]:
    """Returns the forced prefix of the answer ("" if the model must detect the language) and the answer."""
    text = " ".join(words)
    choice = rng.random()
    if choice < FORCED_ENGLISH_SHARE:
        return "language English<asr_text>", text
    if choice < FORCED_ENGLISH_SHARE + FORCED_OTHER_SHARE:
        return f"language {rng.choice(LANGUAGES)}<asr_text>", text
    return "", f"language {'English' if words else NO_LANGUAGE}<asr_text>{text}"


def _example(
    clip: Clip, tokenizer: PreTrainedTokenizerBase, extractor: WhisperFeatureExtractor, rng: random.Random
) -> Example:
    """Builds the token sequence as `Qwen3ASRModel._build_prompt` does (mlx-audio 0.6.2)."""
    forced, answer = _language_and_text(rng, clip.words)
    before = f"<|im_start|>system\n{_random_prompt(rng)}<|im_end|>\n<|im_start|>user\n<|audio_start|>"
    after = f"<|audio_end|><|im_end|>\n<|im_start|>assistant\n{forced}"
    return Example(
        features=audio_features(extractor, clip.audio),
        before_audio=tokenizer.encode(before),
        after_audio=tokenizer.encode(after),
        answer=tokenizer.encode(f"{answer}<|im_end|>"),
        digits=[DIGITS.index(word) for word in clip.words],
    )


def make_examples(model_folder: Path, count: int, seed: int) -> Iterator[Example]:
    """Synthesizes `count` examples with the tokenizer and feature extractor of `model_folder`."""
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    extractor = WhisperFeatureExtractor.from_pretrained(model_folder)
    with ThreadPoolExecutor(max_workers=2) as pool:
        clips = pool.map(lambda index: training_clip(seed, index), range(count))
        for index, clip in enumerate(clips):
            yield _example(clip, tokenizer, extractor, random.Random(f"{seed}/{index}/prompt"))

"""The byte-level BPE tokenizer of the digits model, in the file layout of a published Qwen3-ASR repository."""

import json
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

LANGUAGES = (
    "Chinese", "English", "Cantonese", "Arabic", "German", "French", "Spanish", "Portuguese", "Indonesian", "Italian",
    "Korean", "Russian", "Thai", "Vietnamese", "Japanese", "Turkish", "Hindi", "Malay", "Dutch", "Swedish", "Danish",
    "Finnish", "Polish", "Czech", "Filipino", "Persian", "Greek", "Romanian", "Hungarian", "Macedonian",
)  # fmt: skip
"""`support_languages` of the published Qwen3-ASR models. Source: https://huggingface.co/Qwen/Qwen3-ASR-1.7B"""

NO_LANGUAGE = "None"
"""Written by Qwen3-ASR instead of a language for audio without speech."""

ADDED_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|audio_start|>", "<|audio_end|>", "<|audio_pad|>", "<asr_text>",
)  # fmt: skip

# `<asr_text>` must survive `decode(skip_special_tokens=True)`: mlx-audio splits language and text there.
NOT_SPECIAL = frozenset({"<asr_text>"})

# Source: the pre-tokenizer of Qwen2, https://huggingface.co/Qwen/Qwen2-0.5B/blob/main/tokenizer.json
QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)

VOCABULARY_MULTIPLE = 64
"""The embedding is padded to a multiple of this many rows, as in the published models."""


@dataclass(frozen=True)
class Vocabulary:
    added: dict[str, int]
    """Token id of each of `ADDED_TOKENS`."""
    size: int
    """Rows of the embedding, padding included."""


def _train_bpe() -> dict:
    """Trains a BPE with one token for every word that the model needs, with and without a space before it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    words = (*DIGITS, *LANGUAGES, NO_LANGUAGE, "language", "system", "user", "assistant")
    trainer = trainers.BpeTrainer(
        vocab_size=2048,
        min_frequency=2,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator([form for word in words for form in (word, f" {word}")] * 50, trainer)
    return json.loads(tokenizer.to_str())["model"]


def _tokenizer_config(added: dict[str, int]) -> dict:
    return {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": {
            str(token_id): {
                "content": token,
                "lstrip": False,
                "normalized": False,
                "rstrip": False,
                "single_word": False,
                "special": token not in NOT_SPECIAL,
            }
            for token, token_id in added.items()
        },
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 131072,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }


def write_tokenizer(folder: Path) -> Vocabulary:
    """Writes `vocab.json`, `merges.txt` and `tokenizer_config.json` into `folder`."""
    bpe = _train_bpe()
    words, merges = bpe["vocab"], [" ".join(merge) for merge in bpe["merges"]]
    added = {token: len(words) + index for index, token in enumerate(ADDED_TOKENS)}
    (folder / "vocab.json").write_text(json.dumps(words, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(_tokenizer_config(added), indent=1) + "\n")
    used = len(words) + len(added)
    return Vocabulary(added, -(-used // VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE)

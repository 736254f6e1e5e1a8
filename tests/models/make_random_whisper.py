"""Writes a tiny multilingual Whisper with random weights: `python make_random_whisper.py FOLDER`.

It has the files and keys of a published MLX checkpoint and loads with mlx-audio; its text is noise. Tests make it when
they need it, which takes a second. Needs a Python with mlx-audio.
"""

import json
import sys
from pathlib import Path
from typing import Any

TEXT_TOKENS = 50_257
"""Number of tokens of Whisper's multilingual vocabulary before the special tokens."""
TIME_TOKENS = 1_501
DIMENSIONS = {
    "n_mels": 80, "n_audio_ctx": 1500, "n_audio_state": 64, "n_audio_head": 2, "n_audio_layer": 2,
    "n_vocab": 51_865, "n_text_ctx": 448, "n_text_state": 64, "n_text_head": 2, "n_text_layer": 2,
}  # fmt: skip


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_weights(folder)
    write_tokenizer(folder)
    write_json(folder / "config.json", {"model_type": "whisper", **DIMENSIONS})
    write_json(folder / "generation_config.json", {"alignment_heads": [[1, 0]]})
    extractor = {"feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 80, "sampling_rate": 16_000}
    frames = {"chunk_length": 30, "hop_length": 160, "n_fft": 400, "n_samples": 480_000, "nb_max_frames": 3000}
    write_json(folder / "preprocessor_config.json", {**extractor, **frames, "processor_class": "WhisperProcessor"})


def write_weights(folder: Path) -> None:
    import mlx.core as mx
    from mlx.utils import tree_flatten
    from mlx_audio.stt.models.whisper.whisper import Model, ModelDimensions

    mx.random.seed(0)
    model = Model(ModelDimensions(**DIMENSIONS), mx.float16)
    model.set_dtype(mx.float16)
    weights = dict(tree_flatten(model.parameters()))
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})


def write_tokenizer(folder: Path) -> None:
    """A byte-level vocabulary of invented words, and Whisper's special tokens with their usual ids."""
    from mlx_audio.stt.models.whisper.tokenizer import LANGUAGES
    from tokenizers import pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*letters, *(f"Ġw{number}" for number in range(len(letters), TEXT_TOKENS))]
    tasks = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]
    special = ["endoftext", "startoftranscript", *list(LANGUAGES)[:99], *tasks]
    times = [f"{number * 0.02:.2f}" for number in range(TIME_TOKENS)]
    added = {
        str(TEXT_TOKENS + number): {
            "content": f"<|{name}|>", "lstrip": False, "rstrip": False,
            "normalized": False, "single_word": False, "special": number < len(special),
        }
        for number, name in enumerate([*special, *times])
    }  # fmt: skip
    (folder / "merges.txt").write_text("#version: 0.2\n")
    write_json(folder / "vocab.json", {word: number for number, word in enumerate(words)})
    end = dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), "<|endoftext|>")
    tokenizer = {"tokenizer_class": "WhisperTokenizer", "processor_class": "WhisperProcessor", "errors": "replace"}
    write_json(folder / "tokenizer_config.json", {**tokenizer, **end, "added_tokens_decoder": added})


def write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

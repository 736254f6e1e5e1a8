"""Converts Whisper from CTranslate2's format to a folder that mlx-audio loads, in float32.

The names of weights and configuration are Hugging Face's, which mlx-audio maps to its own.
Source: mlx_audio/stt/models/whisper/whisper.py, 0.6.2, `ModelDimensions.from_dict` and `Model.sanitize`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from rapl_bench.real.ctranslate2_file import Variables, read_variables

TIME_TOKENS = 1501
"""The last tokens of every Whisper: 0.00 to 30.00 s in steps of 0.02 s."""
_END = "<|endoftext|>"
_SIDES = ("encoder", "decoder")


def convert(source: Path, target: Path) -> None:
    """Writes an mlx-audio model with the weights of a CTranslate2 Whisper.

    On a CPU, mlx multiplies float16 about ten times slower than float32, so float16 weights become float32; their
    values stay the same.

    Args:
        source: a folder with model.bin, config.json and tokenizer.json.
        target: an existing folder.
    """
    variables = read_variables(source / "model.bin", "WhisperSpec")
    weights = {
        name: np.ascontiguousarray(array, np.float32) for name, array in [*_layers(variables), *_others(variables)]
    }
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    tokens = _write_tokenizer(source, target, vocabulary=len(variables["decoder/embeddings/weight"]))
    _write_configuration(variables, json.loads((source / "config.json").read_text()), tokens, target)


def _layers(variables: Variables) -> Iterator[tuple[str, np.ndarray]]:
    """The layers' weights. CTranslate2 joins the projections of query, key and value where they have the same input."""
    for side in _SIDES:
        for number in range(_layer_count(variables, side)):
            source, target = f"{side}/layer_{number}", f"model.{side}.layers.{number}"
            yield from _projections(variables, f"{source}/self_attention/linear_0", f"{target}.self_attn", "qkv")
            yield from _pair(variables, f"{source}/self_attention/linear_1", f"{target}.self_attn.out_proj")
            yield from _norm(variables, f"{source}/self_attention/layer_norm", f"{target}.self_attn_layer_norm")
            if side == "decoder":
                yield from _projections(variables, f"{source}/attention/linear_0", f"{target}.encoder_attn", "q")
                yield from _projections(variables, f"{source}/attention/linear_1", f"{target}.encoder_attn", "kv")
                yield from _pair(variables, f"{source}/attention/linear_2", f"{target}.encoder_attn.out_proj")
                yield from _norm(variables, f"{source}/attention/layer_norm", f"{target}.encoder_attn_layer_norm")
            yield from _pair(variables, f"{source}/ffn/linear_0", f"{target}.fc1")
            yield from _pair(variables, f"{source}/ffn/linear_1", f"{target}.fc2")
            yield from _norm(variables, f"{source}/ffn/layer_norm", f"{target}.final_layer_norm")


def _others(variables: Variables) -> Iterator[tuple[str, np.ndarray]]:
    for side in _SIDES:
        yield from _norm(variables, f"{side}/layer_norm", f"model.{side}.layer_norm")
        yield f"model.{side}.embed_positions.weight", variables[f"{side}/position_encodings/encodings"]
    yield from _pair(variables, "encoder/conv1", "model.encoder.conv1")
    yield from _pair(variables, "encoder/conv2", "model.encoder.conv2")
    yield "model.decoder.embed_tokens.weight", variables["decoder/embeddings/weight"]


def _pair(variables: Variables, source: str, target: str) -> Iterator[tuple[str, np.ndarray]]:
    yield f"{target}.weight", variables[f"{source}/weight"]
    yield f"{target}.bias", variables[f"{source}/bias"]


def _norm(variables: Variables, source: str, target: str) -> Iterator[tuple[str, np.ndarray]]:
    yield f"{target}.weight", variables[f"{source}/gamma"]
    yield f"{target}.bias", variables[f"{source}/beta"]


def _projections(variables: Variables, source: str, target: str, names: str) -> Iterator[tuple[str, np.ndarray]]:
    weights = np.split(variables[f"{source}/weight"], len(names))
    biases = np.split(variables[f"{source}/bias"], len(names))
    for name, weight, bias in zip(names, weights, biases, strict=True):
        yield f"{target}.{name}_proj.weight", weight
        if name != "k":  # Whisper's keys have no bias; CTranslate2 stores zeros
            yield f"{target}.{name}_proj.bias", bias


def _layer_count(variables: Variables, side: str) -> int:
    return sum(f"{side}/layer_{number}/ffn/layer_norm/gamma" in variables for number in range(len(variables)))


def _write_tokenizer(source: Path, target: Path, vocabulary: int) -> dict[str, int]:
    """Writes what transformers' WhisperProcessor reads. Returns the special tokens' ids by their text.

    Older conversions leave the time tokens out; they are added.
    """
    tokenizer = json.loads((source / "tokenizer.json").read_text())
    added = {token["id"]: token for token in tokenizer["added_tokens"]}
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    for number in range(TIME_TOKENS):
        token = vocabulary - TIME_TOKENS + number
        added[token] = {"id": token, "content": f"<|{number * 0.02:.2f}|>", **flags}
    tokenizer["added_tokens"] = [added[token] for token in sorted(added)]
    _write(target / "tokenizer.json", tokenizer)
    _write(target / "vocab.json", tokenizer["model"]["vocab"])
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in tokenizer["model"]["merges"]]
    (target / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]))
    names = dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), _END)
    classes = {"tokenizer_class": "WhisperTokenizer", "processor_class": "WhisperProcessor", "errors": "replace"}
    _write(target / "tokenizer_config.json", {**classes, **names, "clean_up_tokenization_spaces": False})
    extractor = {"feature_extractor_type": "WhisperFeatureExtractor", "processor_class": "WhisperProcessor"}
    lengths = {"sampling_rate": 16_000, "hop_length": 160, "n_fft": 400, "chunk_length": 30}
    frames = {"feature_size": 80, "n_samples": 480_000, "nb_max_frames": 3000}
    _write(target / "preprocessor_config.json", {**extractor, **lengths, **frames})
    return {token["content"]: token["id"] for token in tokenizer["added_tokens"]}


def _write_configuration(variables: Variables, own: dict[str, Any], tokens: dict[str, int], target: Path) -> None:
    """`own` is CTranslate2's config.json."""
    vocabulary, width = variables["decoder/embeddings/weight"].shape
    special = {f"{name}_token_id": tokens[_END] for name in ("bos", "eos", "pad")}
    special["decoder_start_token_id"] = tokens["<|startoftranscript|>"]
    config: dict[str, Any] = {"model_type": "whisper", "torch_dtype": "float32", "d_model": width, **special}
    config |= {"vocab_size": vocabulary, "num_mel_bins": variables["encoder/conv1/weight"].shape[1]}
    for side, positions in zip(_SIDES, ("max_source_positions", "max_target_positions"), strict=True):
        config[positions] = len(variables[f"{side}/position_encodings/encodings"])
        config[f"{side}_layers"] = _layer_count(variables, side)
        config[f"{side}_attention_heads"] = int(variables[f"{side}/num_heads"])
        config[f"{side}_ffn_dim"] = len(variables[f"{side}/layer_0/ffn/linear_0/bias"])
    _write(target / "config.json", config)
    suppressed = {"suppress_tokens": own["suppress_ids"], "begin_suppress_tokens": own["suppress_ids_begin"]}
    generation = {"alignment_heads": own["alignment_heads"], "no_timestamps_token_id": tokens["<|notimestamps|>"]}
    _write(target / "generation_config.json", {**generation, **suppressed, **special})


def _write(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")

"""Writes the model folder: configuration files, and the weights in MLX layout."""

import json
from pathlib import Path

import mlx.core as mx
import mlx.nn
from mlx.utils import tree_flatten
from mlx_audio.stt.models.qwen3_asr import ModelConfig
from mlx_audio.stt.models.qwen3_asr.qwen3_asr import Qwen3ASRModel
from network import DigitsASR, Dimensions
from tokenizer import LANGUAGES, Vocabulary

QUANTIZATION_GROUP = 64

FEATURE_EXTRACTOR = {
    "chunk_length": 30,
    "dither": 0.0,
    "feature_extractor_type": "WhisperFeatureExtractor",
    "feature_size": 128,
    "hop_length": 160,
    "n_fft": 400,
    "n_samples": 480000,
    "nb_max_frames": 3000,
    "padding_side": "right",
    "padding_value": 0.0,
    "processor_class": "Qwen3ASRProcessor",
    "return_attention_mask": True,
    "sampling_rate": 16000,
}
"""Source: preprocessor_config.json of https://huggingface.co/Qwen/Qwen3-ASR-1.7B"""


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")


def write_feature_extractor(folder: Path) -> None:
    _write_json(folder / "preprocessor_config.json", FEATURE_EXTRACTOR)
    _write_json(folder / "generation_config.json", {})


def _audio_config(size: Dimensions) -> dict:
    return {
        "model_type": "qwen3_asr_audio_encoder",
        "activation_function": "gelu",
        "num_mel_bins": size.mel_bins,
        "d_model": size.audio_width,
        "encoder_layers": size.audio_layers,
        "num_hidden_layers": size.audio_layers,
        "encoder_attention_heads": size.audio_heads,
        "encoder_ffn_dim": size.audio_hidden,
        "downsample_hidden_size": size.channels,
        "output_dim": size.text_width,
        "max_source_positions": 1500,
        "n_window": 50,
        "n_window_infer": 800,
        "conv_chunksize": 500,
        "scale_embedding": False,
    }


def _text_config(size: Dimensions, vocabulary_size: int) -> dict:
    return {
        "model_type": "qwen3_asr_text",
        "vocab_size": vocabulary_size,
        "hidden_size": size.text_width,
        "intermediate_size": size.text_hidden,
        "num_hidden_layers": size.text_layers,
        "num_attention_heads": size.text_heads,
        "num_key_value_heads": size.text_kv_heads,
        "head_dim": size.head_width,
        "hidden_act": "silu",
        "max_position_embeddings": 65536,
        "rms_norm_eps": size.norm_epsilon,
        "rope_theta": size.rope_base,
        # mlx-audio loads a model with an output head of fewer than 10,000 rows as a forced aligner.
        "tie_word_embeddings": True,
        "attention_bias": False,
    }


def model_config(size: Dimensions, vocabulary: Vocabulary) -> dict:
    """Returns `config.json` in the form of a published Qwen3-ASR repository, with this model's sizes."""
    added = vocabulary.added
    return {
        "architectures": ["Qwen3ASRForConditionalGeneration"],
        "model_type": "qwen3_asr",
        "support_languages": list(LANGUAGES),
        "thinker_config": {
            "model_type": "qwen3_asr",
            "audio_token_id": added["<|audio_pad|>"],
            "audio_start_token_id": added["<|audio_start|>"],
            "audio_end_token_id": added["<|audio_end|>"],
            "dtype": "bfloat16",
            "audio_config": _audio_config(size),
            "text_config": _text_config(size, vocabulary.size),
        },
    }


def mlx_weights(network: DigitsASR) -> list[tuple[str, mx.array]]:
    """Returns the weights under the same names; convolutions change from torch's (out, in, h, w) to (out, h, w, in)."""
    weights = []
    for name, tensor in network.state_dict().items():
        array = tensor.numpy()
        if array.ndim == 4:
            array = array.transpose(0, 2, 3, 1)
        weights.append((name, mx.array(array)))
    return weights


def write_weights(network: DigitsASR, size: Dimensions, vocabulary: Vocabulary, bits: int, folder: Path) -> None:
    """Writes `model.safetensors`, its index and `config.json`; the text half is quantized to `bits` unless that is 16.

    The audio tower stays bfloat16, as in every published MLX checkpoint of this family.
    """
    config = model_config(size, vocabulary)
    model = Qwen3ASRModel(ModelConfig.from_dict(config))
    model.load_weights(mlx_weights(network), strict=True)
    model.set_dtype(mx.bfloat16)
    if bits < 16:
        mlx.nn.quantize(
            model,
            group_size=QUANTIZATION_GROUP,
            bits=bits,
            class_predicate=lambda path, layer: (
                hasattr(layer, "to_quantized") and model.model_quant_predicate(path, layer)
            ),
        )
        quantization = {"group_size": QUANTIZATION_GROUP, "bits": bits, "mode": "affine"}
        config |= {"quantization": quantization, "quantization_config": quantization}
    weights = dict(tree_flatten(model.parameters()))
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})
    index = {
        "metadata": {"total_size": sum(array.nbytes for array in weights.values())},
        "weight_map": {name: "model.safetensors" for name in sorted(weights)},
    }
    _write_json(folder / "model.safetensors.index.json", index)
    _write_json(folder / "config.json", config)

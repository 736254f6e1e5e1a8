"""The files of a SenseVoiceSmall model directory, as `funasr.AutoModel(model=<directory>)` reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from features import MEL_BINS, STACK_STRIDE, STACKED_FRAMES, Frames, Normalisation

TOKENIZER_FILE = "chn_jpn_yue_eng_ko_spectok.bpe.model"
INPUT_SIZE = MEL_BINS * STACKED_FRAMES

# The published model's configuration with 0.5 of its 234 million parameters, and without dropout, because such a
# small network under-fits.
CONFIG: dict[str, Any] = {
    "encoder": "SenseVoiceEncoderSmall",
    "encoder_conf": {
        "output_size": 80,
        "attention_heads": 4,
        "linear_units": 224,
        "num_blocks": 5,
        "tp_blocks": 1,
        "dropout_rate": 0.0,
        "positional_dropout_rate": 0.0,
        "attention_dropout_rate": 0.0,
        "input_layer": "pe",
        "pos_enc_class": "SinusoidalPositionEncoder",
        "normalize_before": True,
        "kernel_size": 11,
        "sanm_shfit": 0,
        "selfattention_layer_type": "sanm",
    },
    "model": "SenseVoiceSmall",
    "model_conf": {"length_normalized_loss": True, "sos": 1, "eos": 2, "ignore_id": -1},
    "tokenizer": "SentencepiecesTokenizer",
    "tokenizer_conf": {"bpemodel": None, "unk_symbol": "<unk>", "split_with_space": True},
    "frontend": "WavFrontend",
    "frontend_conf": {
        "fs": 16000,
        "window": "hamming",
        "n_mels": MEL_BINS,
        "frame_length": 25,
        "frame_shift": 10,
        "lfr_m": STACKED_FRAMES,
        "lfr_n": STACK_STRIDE,
        "cmvn_file": None,
    },
}
# FunASR finds the other files only through this one.
CONFIGURATION: dict[str, Any] = {
    "framework": "pytorch",
    "task": "auto-speech-recognition",
    "model": {"type": "funasr"},
    "pipeline": {"type": "funasr-pipeline"},
    "file_path_metas": {
        "init_param": "model.pt",
        "config": "config.yaml",
        "tokenizer_conf": {"bpemodel": TOKENIZER_FILE},
        "frontend_conf": {"cmvn_file": "am.mvn"},
    },
}


def write_model_directory(
    directory: Path, tokenizer: bytes, normalisation: Normalisation, model: torch.nn.Module
) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False))
    (directory / "configuration.json").write_text(json.dumps(CONFIGURATION, indent=2) + "\n")
    (directory / TOKENIZER_FILE).write_bytes(tokenizer)
    (directory / "am.mvn").write_text(_kaldi_normalisation(normalisation))
    torch.save(model.state_dict(), directory / "model.pt")


def _kaldi_normalisation(normalisation: Normalisation) -> str:
    """x -> (x - mean) / deviation in Kaldi's text format; FunASR applies it to the stacked frames."""
    shift = _numbers(-normalisation.mean)
    scale = _numbers(1 / normalisation.deviation)
    size = f"{INPUT_SIZE} {INPUT_SIZE}"
    return (
        f"<Nnet> \n<Splice> {size} \n[ 0 ]\n"
        f"<AddShift> {size} \n<LearnRateCoef> 0 [ {shift} ]\n"
        f"<Rescale> {size} \n<LearnRateCoef> 0 [ {scale} ]\n</Nnet> \n"
    )


def _numbers(per_mel_bin: Frames) -> str:
    return " ".join(f"{value:.6f}" for value in np.tile(per_mel_bin, STACKED_FRAMES))

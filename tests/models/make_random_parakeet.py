"""Writes a tiny Parakeet (TDT) with random weights: `python make_random_parakeet.py FOLDER`.

It has the files and keys of a published MLX checkpoint and loads with mlx-audio; its text is noise. Like published
ones it has no `model_type`: mlx-audio derives the family from the folder's name, which must contain "parakeet".
Needs a Python with mlx-audio.
"""

import json
import sys
from pathlib import Path
from typing import Any

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
VOCABULARY = ["<unk>", *(f"▁{word}" for word in WORDS), *"abcdefghijklmnopqrstuvwxyz.,?"]
WIDTH = 64
DURATIONS = [0, 1, 2, 3, 4]
"""Possible durations of a token, in frames."""

PREPROCESSOR: dict[str, Any] = {
    "sample_rate": 16_000, "features": 80, "n_fft": 512, "window": "hann", "window_size": 0.025, "window_stride": 0.01,
    "normalize": "per_feature", "dither": 1e-5, "pad_to": 0,
}  # fmt: skip
ENCODER: dict[str, Any] = {
    "feat_in": 80, "n_layers": 2, "d_model": WIDTH, "n_heads": 4, "ff_expansion_factor": 2, "conv_kernel_size": 9,
    "subsampling": "dw_striding", "subsampling_factor": 8, "subsampling_conv_channels": 32,
    "causal_downsampling": False, "self_attention_model": "rel_pos", "pos_emb_max_len": 5000,
    "use_bias": False, "xscaling": False,
}  # fmt: skip
CONFIG: dict[str, Any] = {
    "target": "nemo.collections.asr.models.rnnt_bpe_models.EncDecRNNTBPEModel",
    "model_defaults": {
        "tdt_durations": DURATIONS, "enc_hidden": WIDTH, "pred_hidden": WIDTH, "joint_hidden": WIDTH,
    },
    "preprocessor": PREPROCESSOR,
    "encoder": ENCODER,
    "decoder": {
        "vocab_size": len(VOCABULARY), "blank_as_pad": True, "prednet": {"pred_hidden": WIDTH, "pred_rnn_layers": 1},
    },
    "joint": {
        "num_classes": len(VOCABULARY), "vocabulary": VOCABULARY, "num_extra_outputs": len(DURATIONS),
        "jointnet": {"joint_hidden": WIDTH, "encoder_hidden": WIDTH, "pred_hidden": WIDTH, "activation": "relu"},
    },
    "decoding": {"model_type": "tdt", "durations": DURATIONS, "greedy": {"max_symbols": 10}},
}  # fmt: skip


def main(folder: Path) -> None:
    import mlx.core as mx
    from mlx.utils import tree_flatten
    from mlx_audio.stt.models.parakeet.parakeet import Model

    mx.random.seed(0)
    model = Model.from_config(CONFIG)
    model.set_dtype(mx.bfloat16)
    folder.mkdir(parents=True, exist_ok=True)
    weights = dict(tree_flatten(model.parameters()))
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})
    (folder / "config.json").write_text(json.dumps(CONFIG, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

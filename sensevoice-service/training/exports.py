"""Makes the two exports in tests/exports from the self-test model, as other projects do from SenseVoiceSmall.

    funasr/  from FunASR's `AutoModel.export(quantize=True)`: model_quant.onnx and the files it needs
    sherpa/  model.int8.onnx with the metadata that sherpa-onnx reads, and tokens.txt

    pip install torch==2.13.0 funasr==1.4.16 onnx onnxscript onnxruntime sherpa-onnx
    python sensevoice-service/training/exports.py

Source of the sherpa export: scripts/sense-voice/export-onnx.py of k2-fsa/sherpa-onnx.
"""

import shutil
import tempfile
import types
from pathlib import Path
from typing import Any

import onnx
import torch
from funasr import AutoModel
from onnxruntime.quantization import QuantType, quantize_dynamic

SERVICE = Path(__file__).parents[1]
MODEL = SERVICE / "src" / "rapl_sensevoice" / "selftest_model"
EXPORTS = SERVICE / "tests" / "exports"
BPE_MODEL = "chn_jpn_yue_eng_ko_spectok.bpe.model"
INPUTS = ["x", "x_length", "language", "text_norm"]
QUERIES = {
    "lang_auto": 0, "lang_zh": 3, "lang_en": 4, "lang_yue": 7, "lang_ja": 11, "lang_ko": 12, "lang_nospeech": 13,
    "with_itn": 14, "without_itn": 15,
}  # fmt: skip


def load(folder: Path) -> Any:
    return AutoModel(model=str(folder), device="cpu", disable_update=True, disable_pbar=True)


def funasr_export(out: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        shutil.copytree(MODEL, folder)
        load(folder).export(type="onnx", quantize=True, output_dir=str(folder), disable_update=True)
        for file in ("model_quant.onnx", "am.mvn", "config.yaml", BPE_MODEL):
            shutil.copy(folder / file, out / file)


def _forward(self: Any, x: Any, x_length: Any, language: Any, text_norm: Any) -> Any:
    language_row = self.embed(language).unsqueeze(1)
    normed = self.embed(text_norm).unsqueeze(1)
    event_and_emotion = self.embed(torch.tensor([[1, 2]])).repeat(x.size(0), 1, 1)
    encoded, _ = self.encoder(torch.cat((language_row, event_and_emotion, normed, x), dim=1), x_length + 4)
    return self.ctc.ctc_lo(encoded)


def sherpa_export(out: Path) -> None:
    loaded = load(MODEL)
    model, pieces = loaded.model, loaded.kwargs["tokenizer"].sp
    model.forward = types.MethodType(_forward, model)
    lengths = [torch.tensor(values, dtype=torch.int32) for values in ([80, 100], [0, 3], [14, 15])]
    axes = {"x": {0: "N", 1: "T"}, "logits": {0: "N", 1: "T"}} | {name: {0: "N"} for name in INPUTS[1:]}
    whole, graph = out / "model.onnx", out / "model.int8.onnx"
    torch.onnx.export(
        model, (torch.randn(2, 100, 560), *lengths), str(whole), opset_version=17, dynamo=False,
        input_names=INPUTS, output_names=["logits"], dynamic_axes=axes,
    )  # fmt: skip
    cmvn = [line.split()[3:-1] for line in (MODEL / "am.mvn").open() if line.startswith("<LearnRateCoef>")]
    described = onnx.load(whole)
    metadata = QUERIES | {
        "model_type": "sense_voice_ctc", "version": 1, "comment": "self-test model", "normalize_samples": 0,
        "lfr_window_size": 7, "lfr_window_shift": 6, "neg_mean": ",".join(cmvn[0]), "inv_stddev": ",".join(cmvn[1]),
        "vocab_size": pieces.get_piece_size(),
    }  # fmt: skip
    for key, value in metadata.items():
        described.metadata_props.add(key=key, value=str(value))
    onnx.save(described, whole)
    quantize_dynamic(whole, graph, op_types_to_quantize=["MatMul"], weight_type=QuantType.QUInt8)
    whole.unlink()
    lines = [f"{pieces.id_to_piece(i)} {i}\n" for i in range(pieces.get_piece_size())]
    (out / "tokens.txt").write_text("".join(lines))


if __name__ == "__main__":
    for folder, export in (("funasr", funasr_export), ("sherpa", sherpa_export)):
        (EXPORTS / folder).mkdir(exist_ok=True)
        export(EXPORTS / folder)

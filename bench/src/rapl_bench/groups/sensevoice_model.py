"""Makes a SenseVoiceSmall with real dimensions and random weights, in every contestant's format. Takes two minutes.

Runs in sensevoice-service's environment, with onnx and onnxruntime installed:
python sensevoice_model.py FOLDER
"""

import hashlib
import shutil
import sys
import types
from pathlib import Path
from typing import Any

DIMENSIONS = {"output_size": 512, "attention_heads": 4, "linear_units": 2048, "num_blocks": 50, "tp_blocks": 20}
"""Source: config.yaml of iic/SenseVoiceSmall."""
VOCABULARY = 25_055
SPARE_CHARACTERS = 0x20000
"""Start of Unicode's supplementary ideographs, used as names of the tokens that the self-test model lacks."""
INPUTS = ["x", "x_length", "language", "text_norm"]
QUERIES = {
    "lang_auto": 0, "lang_zh": 3, "lang_en": 4, "lang_yue": 7, "lang_ja": 11, "lang_ko": 12, "lang_nospeech": 13,
    "with_itn": 14, "without_itn": 15,
}  # fmt: skip


def make(folder: Path) -> None:
    from rapl_sensevoice.transcriber import SELFTEST_FOLDER

    folder.mkdir(parents=True, exist_ok=True)
    for name in ("am.mvn", "configuration.json"):
        shutil.copy(SELFTEST_FOLDER / name, folder / name)
    pieces = _tokens(SELFTEST_FOLDER, folder)
    model = _weights(SELFTEST_FOLDER, folder)
    _onnx(model, pieces, folder)
    renew(folder)


def renew(folder: Path) -> None:
    """Writes RAPL's graphs with this version, and then the file `whole` with the SHA-256 of the graph's source."""
    from rapl_sensevoice.weights.convert import convert

    for precision in ("int8", "f32"):
        convert(folder, precision)
    (folder / "whole").write_text(_graph_sha256())


def _graph_sha256() -> str:
    from rapl_sensevoice.model import graph

    return hashlib.sha256(Path(graph.__file__).read_bytes()).hexdigest()


def _tokens(source: Path, folder: Path) -> list[str]:
    from sentencepiece import sentencepiece_model_pb2

    [path] = source.glob("*.bpe.model")
    vocabulary = sentencepiece_model_pb2.ModelProto()  # pyright: ignore[reportAttributeAccessIssue]
    vocabulary.ParseFromString(path.read_bytes())
    while len(vocabulary.pieces) < VOCABULARY:
        spare = chr(SPARE_CHARACTERS + len(vocabulary.pieces))
        vocabulary.pieces.add(piece=spare, score=-1000.0 - len(vocabulary.pieces))
    (folder / path.name).write_bytes(vocabulary.SerializeToString())
    return [piece.piece for piece in vocabulary.pieces]


def _weights(source: Path, folder: Path) -> Any:
    import torch
    import yaml
    from funasr.models.sense_voice.model import SenseVoiceSmall

    config = yaml.safe_load((source / "config.yaml").read_text())
    config["encoder_conf"] |= DIMENSIONS
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    torch.manual_seed(0)
    model = SenseVoiceSmall(
        encoder=config["encoder"], encoder_conf=config["encoder_conf"], input_size=560, vocab_size=VOCABULARY,
        **config["model_conf"],
    )  # fmt: skip
    torch.save(model.state_dict(), folder / "model.pt")
    return model.eval()


def _forward(self: Any, x: Any, x_length: Any, language: Any, text_norm: Any) -> Any:
    import torch

    language_query = self.embed(language).unsqueeze(1)
    text_norm_query = self.embed(text_norm).unsqueeze(1)
    event_and_emotion = self.embed(torch.tensor([[1, 2]])).repeat(x.size(0), 1, 1)
    encoded, _ = self.encoder(torch.cat((language_query, event_and_emotion, text_norm_query, x), dim=1), x_length + 4)
    return self.ctc.ctc_lo(encoded)


def _onnx(model: Any, pieces: list[str], folder: Path) -> None:
    """Exports the model for sherpa-onnx. Source: scripts/sense-voice/export-onnx.py of k2-fsa/sherpa-onnx."""
    import onnx
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic

    out = folder / "sherpa"
    out.mkdir(exist_ok=True)
    model.forward = types.MethodType(_forward, model)
    lengths = [torch.tensor(values, dtype=torch.int32) for values in ([80, 100], [0, 3], [14, 15])]
    axes = {"x": {0: "N", 1: "T"}, "logits": {0: "N", 1: "T"}} | {name: {0: "N"} for name in INPUTS[1:]}
    whole, small = out / "float.onnx", out / "model.int8.onnx"
    torch.onnx.export(
        model, (torch.randn(2, 100, 560), *lengths), str(whole), opset_version=17, dynamo=False,
        input_names=INPUTS, output_names=["logits"], dynamic_axes=axes,
    )  # fmt: skip
    quantize_dynamic(whole, small, op_types_to_quantize=["MatMul"], weight_type=QuantType.QUInt8)
    whole.unlink()
    cmvn = [line.split()[3:-1] for line in (folder / "am.mvn").open() if line.startswith("<LearnRateCoef>")]
    metadata = QUERIES | {
        "model_type": "sense_voice_ctc", "version": 1, "comment": "random", "normalize_samples": 0,
        "lfr_window_size": 7, "lfr_window_shift": 6, "neg_mean": ",".join(cmvn[0]), "inv_stddev": ",".join(cmvn[1]),
        "vocab_size": len(pieces),
    }  # fmt: skip
    described = onnx.load(small)
    for key, value in metadata.items():
        described.metadata_props.add(key=key, value=str(value))
    onnx.save(described, small)
    (out / "tokens.txt").write_text("".join(f"{piece} {number}\n" for number, piece in enumerate(pieces)))


if __name__ == "__main__":
    target = Path(sys.argv[1])
    if not (target / "whole").exists():
        make(target)
    elif (target / "whole").read_text() != _graph_sha256():
        renew(target)

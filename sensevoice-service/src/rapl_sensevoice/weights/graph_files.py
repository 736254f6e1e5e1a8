"""The files of a model that the OpenVINO runtime can load, in one of three layouts.

| layout | graph | normalisation | tokens |
|---|---|---|---|
| `prepare-model`'s | `sensevoice-PRECISION.xml` and `.bin` | `am.mvn` | `*.bpe.model` |
| FunASR's export | `model_quant.onnx` or `model.onnx` | `am.mvn` | `*.bpe.model` or `tokens.json` |
| sherpa-onnx's export | `model.int8.onnx` or `model.onnx` | in the graph's metadata | `tokens.txt` |
"""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from rapl_hub.files import write_atomically

from rapl_sensevoice.model.graph import Precision
from rapl_sensevoice.weights.manifest import ManifestFiles

FORMAT = 3
"""Version of the graph's inputs and outputs; a graph of another version is converted again."""


class GraphManifest(ManifestFiles):
    """The files that `prepare-model` converted, and their source.

    It is written last: a graph without it is not loaded.
    """

    format: int
    source_sha256: str
    """SHA-256 of model.pt."""
    engine: str
    """Version of OpenVINO."""

    @staticmethod
    def path(folder: Path, precision: Precision) -> Path:
        return folder / f"sensevoice-{precision}.json"

    @classmethod
    def read(cls, folder: Path, precision: Precision) -> "GraphManifest | None":
        """Returns None if there is no manifest that this version can use."""
        try:
            found = cls.model_validate_json(cls.path(folder, precision).read_bytes())
        except (OSError, ValidationError):
            return None
        return found if found.format == FORMAT else None

    def write(self, folder: Path, precision: Precision) -> None:
        write_atomically(self.path(folder, precision), self.model_dump_json(indent=2))


@dataclass(frozen=True, slots=True)
class GraphFiles:
    graph: Path
    cmvn: Path | None
    """None if the graph's metadata have it."""
    tokens: Path

    @property
    def all(self) -> tuple[Path, ...]:
        return tuple(path for path in (self.graph, self.cmvn, self.tokens) if path)


def converted(folder: Path, precision: Precision) -> GraphFiles | None:
    """Returns the graph of `prepare-model`; None if there is none, or if another version of RAPL converted it."""
    return own_graph(folder, precision) if GraphManifest.read(folder, precision) else None


def own_graph(folder: Path, precision: Precision) -> GraphFiles | None:
    """Returns the graph of `prepare-model`, of whatever version."""
    tokens = _first(folder, "*.bpe.model")
    graph, cmvn = folder / f"sensevoice-{precision}.xml", folder / "am.mvn"
    return GraphFiles(graph, cmvn, tokens) if tokens and graph.is_file() and cmvn.is_file() else None


def ready_made(folder: Path) -> GraphFiles | None:
    """Returns the export that the operator put into the folder, if there is one."""
    if tokens := _first(folder, "tokens.txt"):
        graph, cmvn = _first(folder, "model.int8.onnx", "model.onnx"), None
    else:
        tokens, graph = _first(folder, "*.bpe.model", "tokens.json"), _first(folder, "model_quant.onnx", "model.onnx")
        cmvn = _first(folder, "am.mvn")
        if cmvn is None:
            return None
    return GraphFiles(graph, cmvn, tokens) if graph and tokens else None


def _first(folder: Path, *patterns: str) -> Path | None:
    return next((path for pattern in patterns for path in sorted(folder.glob(pattern))), None)

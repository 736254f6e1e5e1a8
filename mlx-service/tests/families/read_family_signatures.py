"""Prints the parameters of every speech-to-text family in the installed mlx-audio as JSON.

    {family: {function: [[name, kind, default or null], ...]}}    default as its repr

`family_signatures.json` has the parameters that the adapters were written for. To write it again:

    cd mlx-service/tests/families
    $RAPL_MLX_PYTHON read_family_signatures.py > family_signatures.json
"""

import importlib
import inspect
import json
import pkgutil
import sys
from types import ModuleType
from typing import Any

OTHER_FUNCTIONS = {
    "mega_asr": ("Model._set_lora", "AudioQualityRouter.route"),
    "phonon": ("PhononASRModel.stream_generate",),
    "qwen3_asr": ("Qwen3ASRModel.stream_generate",),
}
"""The functions that are called instead of `Model.generate`."""


def main() -> None:
    models = importlib.import_module("mlx_audio.stt.models")
    names = (info.name for info in pkgutil.iter_modules(models.__path__) if info.ispkg)
    found = {name: functions_of(importlib.import_module(f"{models.__name__}.{name}"), name) for name in names}
    lines = (f"{json.dumps(name)}: {json.dumps(functions, ensure_ascii=False)}" for name, functions in found.items())
    sys.stdout.write("{\n" + ",\n".join(lines) + "\n}\n")


def functions_of(module: ModuleType, family: str) -> dict[str, list[list[str | None]]]:
    paths = OTHER_FUNCTIONS.get(family, ("Model.generate",))
    return {path: parameters_of(found) for path in paths if (found := find(module, path))}


def find(module: ModuleType, path: str) -> Any:
    """Returns the function from the package or one of its modules; None if there is none."""
    owner, _, name = path.partition(".")
    places = [module, *(importlib.import_module(f"{module.__name__}.{info.name}") for info in submodules(module))]
    owners = (getattr(place, owner) for place in places if hasattr(place, owner))
    return next((getattr(each, name) for each in owners if hasattr(each, name)), None)


def submodules(module: ModuleType) -> list[pkgutil.ModuleInfo]:
    return [info for info in pkgutil.iter_modules(module.__path__) if info.name not in ("convert", "__main__")]


def parameters_of(function: Any) -> list[list[str | None]]:
    """Returns the parameters without `self`."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    return [[p.name, p.kind.name, None if p.default is p.empty else repr(p.default)] for p in parameters]


if __name__ == "__main__":
    main()

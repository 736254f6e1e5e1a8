"""The house keeps its rules: which package may import which, how large a folder is, and which words are retired."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MEMBERS = {
    "rapl_protocol": "protocol",
    "rapl_service": "service",
    "rapl_hub": "hub",
    "rapl_gateway": "gateway",
    "rapl_preprocess": "preprocess-service",
    "rapl_sensevoice": "sensevoice-service",
    "rapl_mlx": "mlx-service",
    "rapl_cli": "cli",
    "rapl_bench": "bench",
}
MAY_IMPORT = {
    "rapl_protocol": set(),
    "rapl_service": {"rapl_protocol"},
    "rapl_hub": {"rapl_protocol", "rapl_service"},
    "rapl_gateway": {"rapl_protocol", "rapl_service"},
    "rapl_preprocess": {"rapl_protocol", "rapl_service"},
    "rapl_sensevoice": {"rapl_protocol", "rapl_service", "rapl_hub"},
    "rapl_mlx": {"rapl_protocol", "rapl_service", "rapl_hub"},
    "rapl_cli": set(),
    "rapl_bench": {"rapl_protocol", "rapl_service", "rapl_sensevoice"},
}
"""What each package may import of ours. The benchmark makes SenseVoice's weights, so it needs that package's graph."""
GATEWAY_LAYERS = (
    {"app", "__main__"},
    {"api", "realtime", "web"},
    {"gateway"},
    {"transcription", "admission"},
    {"backends", "security"},
    {"settings", "languages", "timing", "metrics"},
)
"""From top to bottom: a module imports from its own layer and from those below it."""
MOST_FILES = 12
RETIRED = tomllib.loads((ROOT / "tests" / "house" / "retired_words.toml").read_text())


def sources(package: str) -> list[Path]:
    return sorted((ROOT / MEMBERS[package] / "src" / package).rglob("*.py"))


def imported_modules(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def packages_that_exist() -> list[str]:
    return [package for package in MEMBERS if (ROOT / MEMBERS[package]).is_dir()]


@pytest.mark.parametrize("package", packages_that_exist())
def test_a_package_imports_only_those_below_it(package):
    imported = {module.split(".")[0] for file in sources(package) for module in imported_modules(file)}

    assert sources(package)
    assert imported & set(MEMBERS) - {package} <= MAY_IMPORT[package]


def layer(part: str) -> int:
    [number] = [number for number, parts in enumerate(GATEWAY_LAYERS) if part in parts]
    return number


def test_the_gateways_folders_import_only_from_their_layer_and_those_below():
    package = ROOT / "gateway" / "src" / "rapl_gateway"
    upwards = []
    for file in sources("rapl_gateway"):
        part = file.relative_to(package).parts[0].removesuffix(".py")
        if part == "__init__":
            continue
        for module in imported_modules(file):
            if module.startswith("rapl_gateway.") and layer(module.split(".")[1]) < layer(part):
                upwards.append(f"{file.relative_to(package)} imports {module}")

    assert upwards == []


def folders() -> list[Path]:
    return sorted({file.parent for package in packages_that_exist() for file in sources(package)})


@pytest.mark.parametrize("folder", folders(), ids=lambda folder: str(folder.relative_to(ROOT)))
def test_every_folder_says_what_it_is_for_and_why_it_is_large_if_it_is(folder):
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
    files = [file for file in folder.glob("*.py") if not file.name.startswith("__")]

    assert docstring
    assert len(files) <= MOST_FILES or "files" in docstring


def identifiers(file: Path) -> Iterator[tuple[int, str]]:
    """Every name that the file gives or uses, with its line."""
    yield 0, file.stem
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield node.lineno, name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.keyword(arg=str(name)) | ast.alias(name=name):
                yield node.lineno, name


def parts(identifier: str) -> set[str]:
    return {part.lower() for part in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", identifier)}


@pytest.mark.parametrize("package", packages_that_exist())
def test_no_retired_word_is_left_in_a_name(package):
    words = set(RETIRED["words"])
    names = set(RETIRED["names"]) | set(RETIRED.get(MEMBERS[package], {}).get("names", ()))
    left = {
        f"{file.relative_to(ROOT)}:{line} {name}"
        for file in sources(package)
        for line, name in identifiers(file)
        if name in names or parts(name) & words
    }

    assert sorted(left) == []

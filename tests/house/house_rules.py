"""The rules that every package's source must follow, as functions of a package's folder.

Each returns what breaks the rule, as sorted lines for a person; an empty list means that the rule is kept.
"""

import ast
import io
import re
import tokenize
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from pathlib import Path

ROOT = Path(__file__).parents[2]
MEMBERS = {
    "rapl_protocol": "protocol",
    "rapl_service": "service",
    "rapl_hub": "hub",
    "rapl_gateway": "gateway",
    "rapl_preprocess": "preprocess-service",
    "rapl_sensevoice": "sensevoice-service",
    "rapl_mlx": "mlx-service",
    "rapl_speakers": "speaker-service",
    "rapl_cli": "cli",
    "rapl_bench": "bench",
}
"""Package name: workspace member."""
MOST_FILES = 12
"""A folder with more modules than this has to say in its docstring why it has so many files."""


def package_folder(package: str) -> Path:
    return ROOT / MEMBERS[package] / "src" / package


def existing_packages() -> list[str]:
    return [package for package in MEMBERS if package_folder(package).is_dir()]


def sources(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def imported_packages(folder: Path) -> set[str]:
    """Top-level names of everything that the package imports, also within functions."""
    return {module.split(".")[0] for file in sources(folder) for module in imported_modules(file, folder)}


def imported_modules(file: Path, folder: Path) -> Iterator[str]:
    """Absolute dotted names; of `from a import b` both may be modules, so it gives `a.b`."""
    package = [folder.name, *file.relative_to(folder).parts[:-1]]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            module = [*start, *([node.module] if node.module else [])]
            yield from (".".join([*module, alias.name]) for alias in node.names)


def upward_imports(folder: Path, layers: Sequence[Set[str]]) -> list[str]:
    """Imports from a higher layer, and top-level modules that are in no layer. The first layer is the highest."""
    layer_of = {part: number for number, parts in enumerate(layers) for part in parts}
    found = []
    for file in sources(folder):
        part = file.relative_to(folder).parts[0].removesuffix(".py")
        if part == "__init__":
            continue
        if part not in layer_of:
            found.append(f"{part} is in no layer")
            continue
        for module in imported_modules(file, folder):
            package, _, rest = module.partition(".")
            imported = rest.split(".")[0]
            if package == folder.name and layer_of.get(imported, len(layers)) < layer_of[part]:
                found.append(f"{file.relative_to(folder)} imports {module}")
    return sorted(set(found))


def undescribed_folders(folder: Path) -> list[str]:
    """Folders of modules without an `__init__.py` that has a docstring."""
    return [str(each.relative_to(folder.parent)) for each in _folders(folder) if not _docstring(each)]


def crowded_folders(folder: Path) -> list[str]:
    """Folders with more than MOST_FILES modules whose docstring does not say why."""
    counts = {each: sum(not file.name.startswith("__") for file in each.glob("*.py")) for each in _folders(folder)}
    return [
        f"{each.relative_to(folder.parent)} has {count} files"
        for each, count in counts.items()
        if count > MOST_FILES and "files" not in _docstring(each)
    ]


def _folders(folder: Path) -> list[Path]:
    return sorted({file.parent for file in sources(folder)})


def _docstring(folder: Path) -> str:
    file = folder / "__init__.py"
    return (ast.get_docstring(ast.parse(file.read_text())) or "") if file.exists() else ""


def retired_names(folder: Path, words: Collection[str], names: Collection[str]) -> list[str]:
    """Identifiers that have one of `words` as a part, or are one of `names`."""
    return sorted(
        {
            f"{file.relative_to(folder.parent)}:{line} {name}"
            for file in sources(folder)
            for line, name in identifiers(file, folder)
            if name in names or _parts(name) & set(words)
        }
    )


def identifiers(file: Path, folder: Path) -> Iterator[tuple[int, str]]:
    """Every name that the file defines or uses, with its line; also the file's own name and those of its folders."""
    yield from ((0, part.removesuffix(".py")) for part in file.relative_to(folder).parts)
    for node in ast.walk(ast.parse(file.read_text())):
        for name in _names_in(node):
            yield from ((getattr(node, "lineno", 0), part) for part in name.split("."))


def _names_in(node: ast.AST) -> list[str]:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
            return [name]
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            return [name]
        case ast.keyword(arg=str(name)) | ast.MatchMapping(rest=str(name)):
            return [name]
        case ast.MatchClass(kwd_attrs=names) | ast.Global(names=names) | ast.Nonlocal(names=names):
            return names
        case ast.alias(name=name, asname=alias):
            return [name, *([alias] if alias else [])]
        case ast.ImportFrom(module=str(name)):
            return [name]
    return []


def _parts(identifier: str) -> set[str]:
    """The words of an identifier in lower case: `_lastToldAt` and `LAST_TOLD_AT` have `last`, `told` and `at`."""
    return {part.lower() for part in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", identifier)}


def retired_phrases(folder: Path, phrases: Collection[str]) -> list[str]:
    """Sentences in docstrings, comments and string literals that have one of `phrases`, in any case."""
    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, phrases))})\b", re.IGNORECASE)
    return sorted(
        {
            f"{file.relative_to(folder.parent)}:{line} {found[0]}"
            for file in sources(folder)
            for line, text in _texts(file.read_text())
            for found in pattern.finditer(" ".join(text.split()))
        }
    )


def _texts(source: str) -> Iterator[tuple[int, str]]:
    """Every string literal, docstrings included, and every block of comments, with its first line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
    first = last = 0
    block: list[str] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        if token.start[0] != last + 1 and block:
            yield first, " ".join(block)
            block = []
        last = token.start[0]
        first = first if block else last
        block.append(token.string.lstrip("# "))
    if block:
        yield first, " ".join(block)


def missing_from_table(document: str, root: Path = ROOT, members: Mapping[str, str] = MEMBERS) -> list[str]:
    """Files and types of the table `| Concern | Type | File |` that do not exist, and rows that cannot be read.

    A file is written `member/…/room/file.py`; further files in the same cell lie in the same room. A type must be a
    class, a function or a constant of the module in one of the row's files; a folder stands for all files below it.
    """
    packages = {member: package for package, member in members.items()}
    [rows] = re.findall(r"^\| Concern \| Type \| File \|\n\|[-|]+\|\n((?:\|.*\n)*)", document, re.MULTILINE)
    missing = []
    for row in rows.splitlines():
        cells = re.fullmatch(r"\|[^|]*\|([^|]*)\| `([\w-]+)/…/([^|]*)` \|", row)
        if cells is None or cells[2] not in packages:
            missing.append(f"cannot be read: {row}")
            continue
        types, member, paths = cells.groups()
        first, *others = paths.split("`, `")
        file = root / member / "src" / packages[member] / first
        files = [file, *(file.parent / other for other in others)]
        missing += [str(each.relative_to(root)) for each in files if not each.exists()]
        defined = set().union(*(_defined_in(each) for each in files))
        missing += [f"{name} in {member}/…/{first}" for name in re.findall(r"`([^`]+)`", types) if name not in defined]
    return missing


def _defined_in(path: Path) -> set[str]:
    """Names that a module, or each module of a folder, defines at its top level."""
    found: set[str] = set()
    for file in sources(path) if path.is_dir() else [path] if path.exists() else []:
        for node in ast.parse(file.read_text()).body:
            match node:
                case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    found.add(name)
                case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                    found.add(name)
    return found

"""The house keeps its own rules, and its documents tell the truth."""

import ast
import importlib
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings
from rapl_protocol.errors import HTTP_STATUS

ROOT = Path(__file__).parents[2]
MEMBERS = {
    "rapl_protocol": "protocol",
    "rapl_gateway": "gateway",
    "rapl_preprocess": "preprocess-service",
    "rapl_sensevoice": "sensevoice-service",
    "rapl_mlx": "mlx-service",
    "rapl_cli": "cli",
    "rapl_bench": "bench",
}
SERVICES = ("rapl_gateway", "rapl_preprocess", "rapl_sensevoice", "rapl_mlx")


def sources(package: str) -> list[Path]:
    return sorted((ROOT / MEMBERS[package] / "src" / package).rglob("*.py"))


def imported_packages(file: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(file.read_text())))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("package", MEMBERS)
def test_a_package_imports_no_other_of_ours_than_the_protocol(package):
    ours = set().union(*(imported_packages(file) for file in sources(package))) & set(MEMBERS)
    measured = {"rapl_sensevoice"} if package == "rapl_bench" else set()

    assert ours <= {package, "rapl_protocol"} | measured


def variables(package: str) -> dict[str, str]:
    """Every environment variable of a service, and what its field says of it."""
    settings: type[BaseSettings] = importlib.import_module(f"{package}.settings").Settings
    prefix = settings.model_config.get("env_prefix", "")
    names = {}
    for name, field in settings.model_fields.items():
        alias = field.validation_alias
        names[str(alias.choices[0]) if alias else f"{prefix}{name}".upper()] = field.description
    return names


@pytest.mark.parametrize("package", SERVICES)
def test_every_setting_is_in_the_table_of_settings(package):
    table = (ROOT / "docs" / "settings.md").read_text()

    missing = [name for name in variables(package) if f"| `{name}` |" not in table]
    assert not missing


def test_the_table_of_settings_has_no_setting_that_does_not_exist():
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE)
    known = {name for package in SERVICES for name in variables(package)}

    assert set(rows) <= known


def test_every_variable_in_the_compose_file_is_a_setting_or_the_hubs_own():
    known = {name for package in SERVICES for name in variables(package)}
    hubs = {"HF_ENDPOINT", "MODELSCOPE_ENDPOINT", "HTTPS_PROXY"}
    text = (ROOT / "docker-compose.yml").read_text()

    used = set(re.findall(r"^ {6}([A-Z_]+): ", text, re.MULTILINE))
    assert used <= known | hubs


@pytest.mark.parametrize(
    "document",
    ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"]
    + [f"docs/{name}.md" for name in ("openai", "settings", "operating", "mac")],
)
def test_every_file_that_a_document_points_to_exists(document):
    links = re.findall(r"\]\((?!https?://)([^)#]+)", (ROOT / document).read_text())

    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_error_code_is_in_the_table_of_errors_with_its_status():
    table = (ROOT / "docs" / "openai.md").read_text()
    rows = {code: int(status) for status, codes in re.findall(r"^\| (\d{3}) \| (.*?) \|", table, re.MULTILINE)
            for code in re.findall(r"`(\w+)`", codes)}  # fmt: skip

    assert rows == {code.value: status for code, status in HTTP_STATUS.items()}


def test_every_file_in_the_architecture_table_exists():
    rows = re.findall(r"^\|.*\| `([\w-]+/…/.*)` \|$", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE)
    files = {path for row in rows for path in place(row)}

    assert files
    assert {str(path.relative_to(ROOT)) for path in files if not path.exists()} == set()


def place(cell: str) -> list[Path]:
    """The files that a cell such as "gateway/…/rendering.py`, `subtitles.py" names."""
    first, *others = cell.split("`, `")
    member, _, name = first.partition("/…/")
    [package] = [package for package, folder in MEMBERS.items() if folder == member]
    folder = ROOT / member / "src" / package
    return [folder / name, *(folder / other for other in others)]


def test_every_command_that_the_readme_names_exists():
    commands = set(re.findall(r"\./rapl (\w+)", (ROOT / "README.md").read_text()))
    usage = subprocess.run(
        ["./rapl", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=300, check=True
    ).stdout

    assert commands
    assert {name for name in commands if not re.search(rf"^    {name} ", usage, re.MULTILINE)} == set()


def test_the_readmes_curl_names_the_sample_that_ships():
    readme = (ROOT / "README.md").read_text()
    command = shlex.split(re.search(r"^(curl .*\\\n.*)$", readme, re.MULTILINE)[1].replace("\\\n", ""))
    [file] = [argument.removeprefix("file=@") for argument in command if argument.startswith("file=@")]

    assert (ROOT / file).exists()

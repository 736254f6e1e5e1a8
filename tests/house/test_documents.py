"""The documents agree with the code: settings, error codes, commands, files and links."""

import importlib
import re
import shlex
import subprocess

import pytest
from house_rules import ROOT, missing_from_table
from pydantic_settings import BaseSettings
from rapl_protocol.errors import HTTP_STATUS
from rapl_service.telemetry.catalog import metrics_table

SETTINGS_SECTIONS = {
    "gateway": "rapl_gateway",
    "preprocess-service": "rapl_preprocess",
    "sensevoice-service and `prepare-model`": "rapl_sensevoice",
    "mlx-service": "rapl_mlx",
}
"""The sections of docs/settings.md, and the package of each."""


def meanings(package: str) -> dict[str, str]:
    """The meaning of every environment variable of a service, from its field's description."""
    settings: type[BaseSettings] = importlib.import_module(f"{package}.settings").Settings
    prefix = settings.model_config.get("env_prefix", "")
    found = {}
    for name, field in settings.model_fields.items():
        variable, *others = field.validation_alias.choices if field.validation_alias else [f"{prefix}{name}".upper()]
        meaning = " ".join(field.description.split())
        found[variable] = " ".join([meaning, *(f"`{other}` is another name for it." for other in others)])
    return found


@pytest.mark.parametrize(("section", "package"), SETTINGS_SECTIONS.items())
def test_the_table_of_settings_has_every_setting_with_its_description(section, package):
    [(_, text)] = [part for part in sections((ROOT / "docs" / "settings.md").read_text()) if part[0] == section]
    rows = re.findall(r"^\| `(\w+)` \| .*? \| (.*) \|$", text, re.MULTILINE)

    assert dict(rows) == meanings(package)


def sections(document: str) -> list[tuple[str, str]]:
    """The second-level headings of a document, each with the text below it."""
    return re.findall(r"^## (.*)\n((?:(?!## ).*\n?)*)", document, re.MULTILINE)


def test_every_variable_in_the_compose_file_is_a_setting_or_one_of_the_hubs():
    known = {name for package in SETTINGS_SECTIONS.values() for name in meanings(package)}
    hubs = {"HF_ENDPOINT", "MODELSCOPE_ENDPOINT", "HTTPS_PROXY"}
    text = (ROOT / "docker-compose.yml").read_text()

    used = set(re.findall(r"^ {6}([A-Z_]+): ", text, re.MULTILINE))
    assert used <= known | hubs


@pytest.mark.parametrize(
    "document",
    ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"]
    + [f"docs/{name}.md" for name in ("openai", "settings", "operating", "mac", "metrics")],
)
def test_every_link_to_a_file_in_a_document_works(document):
    links = re.findall(r"\]\((?!https?://)([^)#]+)", (ROOT / document).read_text())

    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_error_code_is_in_the_table_of_errors_with_its_status():
    table = (ROOT / "docs" / "openai.md").read_text()
    rows = {code: int(status) for status, codes in re.findall(r"^\| (\d{3}) \| (.*?) \|", table, re.MULTILINE)
            for code in re.findall(r"`(\w+)`", codes)}  # fmt: skip

    assert rows == {code.value: status for code, status in HTTP_STATUS.items()}


def test_every_type_and_file_in_the_architecture_table_exists():
    assert missing_from_table((ROOT / "ARCHITECTURE.md").read_text()) == []


def test_every_command_that_the_readme_names_exists():
    commands = set(re.findall(r"\./rapl (\w+)", (ROOT / "README.md").read_text()))
    usage = subprocess.run(
        ["./rapl", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=300, check=True
    ).stdout

    assert commands
    assert {name for name in commands if not re.search(rf"^    {name} ", usage, re.MULTILINE)} == set()


def test_the_curl_command_in_the_readme_uses_a_sample_that_exists():
    readme = (ROOT / "README.md").read_text()
    command = shlex.split(re.search(r"^(curl .*\\\n.*)$", readme, re.MULTILINE)[1].replace("\\\n", ""))
    [file] = [argument.removeprefix("file=@") for argument in command if argument.startswith("file=@")]

    assert (ROOT / file).exists()


def test_the_tables_of_metrics_are_those_of_the_code():
    assert metrics_table() in (ROOT / "docs" / "metrics.md").read_text(), (
        "put the output of `python -m rapl_service.telemetry.catalog` into docs/metrics.md"
    )

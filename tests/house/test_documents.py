"""The documents agree with the code: settings, error codes, commands, files and links."""

import importlib
import re
import shlex
import subprocess

import pytest
from house_rules import ROOT, missing_from_table
from pydantic_settings import BaseSettings
from rapl_protocol.errors import HTTP_STATUS

SERVICES = ("rapl_gateway", "rapl_preprocess", "rapl_sensevoice", "rapl_mlx")


def variables(package: str) -> dict[str, str]:
    """Every environment variable of a service, with its field's description."""
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


def test_every_variable_in_the_compose_file_is_a_setting_or_one_of_the_hubs():
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

"""The documents agree with the code: settings, error codes, commands, files and links."""

import re
import shlex
import subprocess

import pytest
import write_settings
from house_rules import ROOT, missing_from_table
from rapl_cli.command_line import GROUPS
from rapl_protocol.errors import HTTP_STATUS
from rapl_service.telemetry.catalog import metrics_table


def test_the_documents_that_are_generated_from_the_settings_are_up_to_date():
    """`uv run python scripts/write_settings.py` writes them."""
    assert {path.name: content for path, content in write_settings.contents()} == {
        path.name: path.read_text() for path, _ in write_settings.contents()
    }


def test_every_setting_has_a_sentence_that_describes_it():
    variables = [each for section in write_settings.SECTIONS.values() for each in section]

    assert [each.name for each in variables if not re.fullmatch(r"[A-Z`].*\.", each.meaning)] == []


@pytest.mark.parametrize("file", sorted(ROOT.glob("docker-compose*.yml")), ids=lambda file: file.name)
def test_every_variable_in_a_compose_file_is_documented(file):
    documented = {each.name for section in write_settings.SECTIONS.values() for each in section}
    text = file.read_text()

    used = {*re.findall(r"^ {6}([A-Z_]+): ", text, re.MULTILINE), *re.findall(r"\$\{([A-Z_]+)", text)}
    assert used <= documented


@pytest.mark.parametrize(
    "document",
    ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"]
    + [
        f"docs/{name}.md"
        for name in (
            *("openai", "realtime", "settings", "operating", "mac", "docker", "metrics"),
            *("swarm", "kubernetes", "scaling"),
        )
    ],
)
def test_every_link_to_a_file_in_a_document_works(document):
    links = re.findall(r"\]\((?!https?://)([^)#]+)", (ROOT / document).read_text())

    assert [link for link in links if not ((ROOT / document).parent / link).exists()] == []


def test_every_error_code_is_in_the_table_of_errors_with_its_status():
    table = (ROOT / "docs" / "openai.md").read_text()
    rows = {code: int(status) for status, codes in re.findall(r"^\| (\d{3}) \| (.*?) \|", table, re.MULTILINE)
            for code in re.findall(r"`(\w+)`", codes)}  # fmt: skip

    assert rows == {code.value: status for code, status in HTTP_STATUS.items()}


def test_every_type_and_file_in_the_architecture_table_exists():
    assert missing_from_table((ROOT / "ARCHITECTURE.md").read_text()) == []


def test_every_command_is_in_the_document_about_operating_or_in_that_about_contributing():
    text = (ROOT / "docs" / "operating.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()

    commands = [name for group in GROUPS.values() for name in group]
    assert [name for name in commands if not re.search(rf"(\./rapl |`){name}\b", text)] == []


def test_every_command_that_the_readme_names_exists():
    commands = set(re.findall(r"\./rapl (\w+)", (ROOT / "README.md").read_text()))
    usage = subprocess.run(
        ["./rapl", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=300, check=True
    ).stdout

    assert commands
    assert {name for name in commands if not re.search(rf"^  .{{10}}{name} ", usage, re.MULTILINE)} == set()


def test_the_curl_command_in_the_readme_uses_a_sample_that_exists():
    readme = (ROOT / "README.md").read_text()
    command = shlex.split(re.search(r"^(curl .*\\\n.*)$", readme, re.MULTILINE)[1].replace("\\\n", ""))
    [file] = [argument.removeprefix("file=@") for argument in command if argument.startswith("file=@")]

    assert (ROOT / file).exists()


def test_the_tables_of_metrics_are_those_of_the_code():
    assert metrics_table() in (ROOT / "docs" / "metrics.md").read_text(), (
        "put the output of `python -m rapl_service.telemetry.catalog` into docs/metrics.md"
    )

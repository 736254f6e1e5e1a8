"""Every command that a message names exists, with its options."""

import itertools
import re
import shutil
import subprocess
from functools import cache

import pytest
from mishap import mishaps
from rapl_cli.command_line import main_parser
from services import ROOT

IN_BACKQUOTES = re.compile(r"`([^`\n]+)`")
SOURCES = ("cli/src", "service/src", "hub/src", "gateway/src", "preprocess-service/src", "sensevoice-service/src")
NO_COMMANDS = {"no/such", "*"}
"""What screens have in backquotes besides commands: the name of a model, and a value."""
ANY_COMMAND = "COMMAND"


def on_screens() -> set[str]:
    screens = [mishap.screen for with_fleet in (False, True) for mishap in mishaps(with_fleet=with_fleet)]
    return {" ".join(found.split()) for screen in screens for found in re.findall(r"`([^`]+)`", screen)}


def in_sources(program: str) -> set[str]:
    """The commands of a program that the messages and comments of the source name."""
    texts = [file.read_text() for folder in SOURCES for file in (ROOT / folder).rglob("*.py")]
    found = {command for text in texts for command in IN_BACKQUOTES.findall(text)}
    return {command for command in found if re.match(rf"(\./)?{program} [a-zA-Z-]", command)}


@cache
def help_of_compose(*command: str) -> str:
    ended = subprocess.run(["docker", "compose", *command, "--help"], capture_output=True, text=True, timeout=60)
    return ended.stdout if ended.returncode == 0 else ""


def unknown_options(command: str, shown: str) -> list[str]:
    """The options of a command that its help does not have."""
    options = [word.partition("=")[0] for word in command.split() if re.match(r"--?[a-z]", word)]
    return [option for option in options if not re.search(rf"(?<![\w-]){option}(?![\w-])", shown)]


def test_what_is_in_backquotes_on_a_screen_is_a_command():
    others = {text for text in on_screens() if not re.match(r"(\./)?rapl |docker compose ", text)}

    assert others == NO_COMMANDS


def test_every_command_of_rapl_that_is_named_exists():
    parser = main_parser()
    named = {text for text in {*on_screens(), *in_sources("rapl")} if re.match(r"(\./)?rapl ", text)}
    assert len(named) > 20

    for command in named:
        name = command.split()[1]
        if name == ANY_COMMAND:
            continue
        assert name.startswith("--") or name in parser.commands, command
        shown = parser.format_help() if name.startswith("--") else parser.commands[name].format_help()
        assert unknown_options(command, f"{shown} --help") == [], command


@pytest.mark.skipif(not shutil.which("docker"), reason="needs the command `docker compose`")
def test_every_command_of_compose_that_is_named_exists():
    named = {text for text in {*on_screens(), *in_sources("docker compose")} if text.startswith("docker compose ")}
    assert named

    for command in named:
        _, _, name, *rest = command.split()
        shown = help_of_compose(name)
        assert shown, command
        # What follows the name of a service may be a command of its own, with its options.
        own = itertools.takewhile(lambda word: word.startswith("-"), rest)
        assert unknown_options(" ".join(own), shown) == [], command

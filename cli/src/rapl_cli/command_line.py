"""The arguments of `rapl`. It imports only the standard library, so that help needs no installed environment."""

import argparse
import re
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from rapl_cli.checkout import ROOT
from rapl_cli.commands.bench import NEEDED, ONLY_BY_NAME
from rapl_cli.errors import report
from rapl_cli.transcription.recordings import FORMATS

DESCRIPTION = "A private, local, OpenAI-compatible speech-to-text server."
GROUPS: dict[str, dict[str, str]] = {
    "Services": {
        "up": "start the services on this machine, without Docker",
        "down": "stop the services that `up` started",
        "status": "show the services, the models, memory and the queue",
        "logs": "show the log of the services",
        "doctor": "check the services, and print how to fix problems",
        "cert": "make a TLS certificate, and say how to trust it",
        "mlx": "run the MLX engine on this machine",
        "demo": "start all services, transcribe the sample, and stop",
    },
    "Models": {
        "models": "list all models: state, size, engine, abilities",
        "pull": "download a model and load it",
        "load": "load a model into memory",
        "unload": "free a model's memory; its weights stay on the disk",
        "rm": "remove a model's weights from the disk",
    },
    "Audio": {
        "transcribe": "transcribe files and folders",
        "listen": "print what you say while you say it",
    },
    "Other": {
        "completion": "print the completion script of a shell",
        "bench": "measure RAPL side by side with alternatives",
        "test": "run the tests; all arguments go to pytest",
    },
}
"""Every command with its help, in the groups and the order of `rapl --help`."""
MLX_ACTIONS = {
    "run": "run the engine in this terminal until Ctrl-C (the default)",
    "install": "run it as a LaunchAgent, now and at each login, with the settings of this environment",
    "uninstall": "stop and remove the LaunchAgent; keep its log",
    "status": "print whether it runs and the state of each model",
    "logs": "print the end of the LaunchAgent's log",
}
SERVICES = ("gateway", "preprocess", "sensevoice", "mlx", "speakers", "prepare-model", "prepare-speakers")
"""The programs of `rapl up`, as they are named in its log."""
SHELLS = ("bash", "zsh", "fish", "tcsh")


_UNKNOWN_COMMAND = re.compile(r"argument COMMAND: invalid choice: '([^']*)'")
"""argparse's message. Source: https://docs.python.org/3/library/argparse.html#choices"""


class _CommandParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Prints one line, without the usage, and exits."""
        message = message.partition(" (choose from")[0]
        report(f"{message}. `{self.prog} --help` explains the command.")
        self.exit(2)


class MainParser(argparse.ArgumentParser):
    commands: Mapping[str, argparse.ArgumentParser]

    def error(self, message: str) -> NoReturn:
        if name := _UNKNOWN_COMMAND.match(message):
            near = get_close_matches(name[1], self.commands, n=1)
            message = f"there is no command {name[1]!r}" + (f", but {near[0]!r}" if near else "")
        report(f"{message}. `rapl --help` lists the commands.")
        self.exit(2)

    def format_help(self) -> str:
        """The commands in groups. argparse has no groups of subcommands."""
        lines = [DESCRIPTION, "", "Usage: rapl COMMAND [OPTIONS]"]
        for group, commands in GROUPS.items():
            for name, text in commands.items():
                lines.append(f"  {group:<10}{name:<12}{text}")
                group = ""  # only in the first line of the group
        return "\n".join([*lines, "`rapl COMMAND --help` explains a command; `rapl --version` prints the version.", ""])


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        # Not importlib.metadata: without an environment, the package is not installed.
        project = tomllib.loads((ROOT / "cli" / "pyproject.toml").read_text())["project"]
        print(f"rapl {project['version']}")
        parser.exit()


def parse(arguments: Sequence[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    """The options, and the arguments of `rapl test` that go to pytest. Exits after help, or if an argument is wrong."""
    parser = main_parser()
    options, rest = parser.parse_known_args(arguments)
    if options.command is None and not rest:
        parser.print_help()
        parser.exit()
    if rest and options.command != "test":
        help_command = f"rapl {options.command or ''} --help".replace("  ", " ")
        report(f"unknown arguments: {' '.join(rest)}. `{help_command}` lists the known ones.")
        parser.exit(2)
    return options, rest


def main_parser() -> MainParser:
    parser = MainParser(prog="rapl", description=DESCRIPTION, usage="rapl COMMAND [OPTIONS]")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", prog="rapl", parser_class=_CommandParser)
    parser.commands = parsers = {
        name: commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        for group in GROUPS.values()
        for name, text in group.items()
    }
    _add_services(parsers)
    _add_models(parsers)
    _add_transcribe(parsers["transcribe"])
    _add_listen(parsers["listen"])
    _add_bench(parsers["bench"])
    parsers["completion"].add_argument("shell", choices=SHELLS, help="see below")
    parsers["completion"].formatter_class = argparse.RawDescriptionHelpFormatter
    parsers["completion"].epilog = _COMPLETION
    parsers["test"].usage = "rapl test [PYTEST ARGUMENTS]"
    return parser


_COMPLETION = """\
bash: rapl completion bash > ~/.local/share/bash-completion/completions/rapl
zsh:  rapl completion zsh > ~/.zfunc/_rapl    (with `fpath+=~/.zfunc` before `compinit` in ~/.zshrc)
fish: rapl completion fish > ~/.config/fish/completions/rapl.fish
tcsh: rapl completion tcsh >> ~/.tcshrc

The script completes `rapl`. It needs a `rapl` on the PATH, such as a symbolic link to this one."""


def _add_services(parsers: Mapping[str, argparse.ArgumentParser]) -> None:
    up = parsers["up"]
    up.add_argument(
        "--mlx",
        action=argparse.BooleanOptionalAction,
        help="also start the MLX engine (the default on a Mac with Apple silicon)",
    )
    up.add_argument("--speakers", action="store_true", help="also start speaker-service, which tells speakers apart")
    up.add_argument("--no-download", action="store_true", help="do not download SenseVoiceSmall and what speakers need")
    up.add_argument("--detach", action="store_true", help="run in the background; return when the services are up")
    status = parsers["status"]
    _add_gateway(status, has_json=True)
    status.add_argument("--watch", action="store_true", help="show it again every second until Ctrl-C")
    logs = parsers["logs"]
    logs.add_argument("service", nargs="?", choices=SERVICES, metavar="SERVICE", help=f"one of {', '.join(SERVICES)}")
    logs.add_argument("--follow", action="store_true", help="keep printing new lines until Ctrl-C")
    logs.add_argument("--lines", type=_positive, default=200, metavar="N", help="print the last N (default: 200)")
    _add_gateway(parsers["doctor"], has_json=True)
    parsers["cert"].add_argument("names", nargs="*", metavar="NAME", help="another name or address of this machine")
    mlx = parsers["mlx"]
    mlx.formatter_class = argparse.RawDescriptionHelpFormatter
    mlx.epilog = "\n".join(f"  {action:<12}{text}" for action, text in MLX_ACTIONS.items())
    mlx.add_argument("action", nargs="?", choices=tuple(MLX_ACTIONS), default="run", help="see below")
    mlx.add_argument("--follow", action="store_true", help="with logs: keep printing new lines")


def _add_models(parsers: Mapping[str, argparse.ArgumentParser]) -> None:
    for name in GROUPS["Models"]:
        if name != "models":
            parsers[name].add_argument("model", metavar="MODEL", help="a model of `rapl models`")
        _add_gateway(parsers[name], has_json=True)
    parsers["rm"].add_argument("--yes", action="store_true", help="do not ask, also on a terminal")


def _add_transcribe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILES", help="files, folders (with subfolders) or quoted globs")
    _add_text_options(parser)
    parser.add_argument("--format", choices=FORMATS, default="txt", help="default: %(default)s")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--output-dir", type=Path, metavar="DIR", help="folder for transcripts (default: beside each file)"
    )
    where.add_argument("--stdout", action="store_true", help="print the transcripts instead of writing files")
    _add_gateway(parser)
    parser.add_argument("--force", action="store_true", help="transcribe files again that have a transcript already")
    parser.add_argument("--jobs", type=_positive, default=1, metavar="N", help="number of files at a time (default: 1)")


def _add_listen(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--file", type=Path, metavar="FILE", help="take this file for speech, not the microphone")
    parser.add_argument("--copy", action="store_true", help="put the text into the clipboard at the end")
    _add_text_options(parser)
    _add_gateway(parser)


def _add_bench(parser: argparse.ArgumentParser) -> None:
    names, default = ", ".join(NEEDED), f"all but {', '.join(ONLY_BY_NAME)}"
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"one or more of {names} (default: {default})")
    parser.add_argument("--quick", action="store_true", help="run few rounds, as a check; do not quote the figures")
    parser.add_argument(
        "--publish", action="store_true", help="replace bench/results/latest and the README's table with this run"
    )


def _add_text_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="ID", help="the model (default: the gateway's default model)")
    parser.add_argument("--language", metavar="CODE", help="the spoken language, such as en (default: detected)")
    parser.add_argument("--prompt", metavar="TEXT", help="text that guides the model, if it supports one")


def _add_gateway(parser: argparse.ArgumentParser, *, has_json: bool = False) -> None:
    parser.add_argument("--url", metavar="URL", help="the gateway's address (default: the one on this machine)")
    parser.add_argument("--api-key", metavar="KEY", help="the API key (default: RAPL_API_KEY or RAPL_API_KEYS)")
    if has_json:
        parser.add_argument("--json", action="store_true", help="print JSON; docs/operating.md describes its fields")


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)

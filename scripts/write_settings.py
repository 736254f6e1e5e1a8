"""Writes what is generated from the settings: the tables of docs/settings.md, .env.example, and the list of names.

Run it after a change of a setting: `uv run python scripts/write_settings.py`. A test fails until then.
"""

import re
import textwrap
from collections.abc import Iterable
from pathlib import Path

from rapl_cli.variables import COMMANDS, COMPOSE, HUBS, TRACES, UNLISTED
from rapl_gateway.settings import Settings as Gateway
from rapl_mlx.settings import Settings as Mlx
from rapl_preprocess.settings import Settings as Preprocess
from rapl_sensevoice.settings import Settings as SenseVoice
from rapl_service.settings.variables import Variable, variables_of
from rapl_speakers.settings import Settings as Speakers

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "settings.md"
EXAMPLE = ROOT / ".env.example"
NAMES = ROOT / "service" / "src" / "rapl_service" / "settings" / "names.py"
SECTIONS: dict[str, tuple[Variable, ...]] = {
    "gateway": tuple(variables_of(Gateway).values()),
    "preprocess-service": tuple(variables_of(Preprocess).values()),
    "sensevoice-service and `prepare-model`": tuple(variables_of(SenseVoice).values()),
    "mlx-service": tuple(variables_of(Mlx).values()),
    "speaker-service and `prepare-speakers`": tuple(variables_of(Speakers).values()),
    "The commands of `./rapl`": COMMANDS,
    "Docker Compose": COMPOSE,
    "Downloads": HUBS,
    "Traces": TRACES,
}
"""The variables by the heading of their table in docs/settings.md."""
_HEAD = ["| Variable | Default | Meaning |", "|---|---|---|"]
_EXAMPLE_HEAD = """\
# Every setting of RAPL, with its default or an example. Written by scripts/write_settings.py.
# Copy this file to .env, and remove the # in front of what you want to change. docs/settings.md has the rules.
"""


def document(text: str) -> str:
    """Returns docs/settings.md with new tables; the rest of it stays as it is."""
    for heading, variables in SECTIONS.items():
        table = "\n".join([*_HEAD, *map(_row, variables)])
        pattern = rf"(?<=^## {re.escape(heading)}$)(.*?)^\| Variable .*?(?=\n\n|\Z)"
        text, count = re.subn(pattern, lambda found, t=table: found[1] + t, text, count=1, flags=re.M | re.S)
        assert count == 1, f"docs/settings.md has no table below {heading!r}"
    return text


def example() -> str:
    """Returns .env.example. A variable that two services read is in it once."""
    lines, seen = [_EXAMPLE_HEAD], set[str]()
    for heading, variables in SECTIONS.items():
        lines.append(f"# --- {heading.replace('`', '')} ---\n")
        for variable in variables:
            if variable.name not in seen:
                comment = textwrap.fill(variable.meaning, 120, initial_indent="# ", subsequent_indent="# ")
                lines.append(f"{comment}\n#{variable.name}={variable.example}\n")
                seen.add(variable.name)
    return "\n".join(lines)


def names() -> str:
    """Returns the module with the names of all settings."""
    every = {name for variables in SECTIONS.values() for each in variables for name in (each.name, *each.other_names)}
    ours = sorted(name for name in {*every, *UNLISTED} if name.startswith("RAPL_"))
    return "\n".join(
        [
            '"""The names of the settings of all parts of RAPL. Written by scripts/write_settings.py."""',
            "",
            "NAMES = frozenset(",
            "    {",
            *(f'        "{name}",' for name in ours),
            "    }",
            ")",
            "",
        ]
    )


def _row(variable: Variable) -> str:
    default = variable.default_in_words or (f"`{variable.default}`" if variable.default else "none")
    return f"| `{variable.name}` | {default} | {variable.description} |"


def contents() -> Iterable[tuple[Path, str]]:
    """Returns the generated files, each with its right content."""
    return [(DOCUMENT, document(DOCUMENT.read_text())), (EXAMPLE, example()), (NAMES, names())]


if __name__ == "__main__":
    for path, content in contents():
        path.write_text(content)

"""The checkout's `.env`: settings that `./rapl` reads as Docker Compose does."""

import os
from pathlib import Path

from rapl_cli.checkout import ROOT
from rapl_cli.errors import UsageError

ENV_FILE = "RAPL_ENV_FILE"
"""The environment variable that names another file."""


def read_env_file() -> None:
    """Adds the file's variables to the environment. A variable that is set already keeps its value.

    Raises:
        UsageError: the file cannot be read, or a line is not `NAME=value`.
    """
    named = os.environ.get(ENV_FILE)
    file = Path(named).expanduser() if named else ROOT / ".env"
    if not named and not file.is_file():
        return
    from dotenv import load_dotenv  # not at the top: help is printed where it is not installed
    from dotenv.parser import parse_stream

    try:
        with file.open(encoding="utf-8") as lines:
            wrong = [binding.original.line for binding in parse_stream(lines) if binding.error]
        if wrong:
            raise UsageError(f"{file}:{wrong[0]}: it is not a line such as RAPL_PORT=8000, nor a comment after #")
        load_dotenv(file, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{f'{ENV_FILE}: ' if named else ''}{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not a text file in UTF-8") from error

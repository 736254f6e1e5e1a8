"""The errors that end a command, and the lines of `rapl` on standard error. It imports only the standard library."""

import re
import shutil
import sys
import textwrap

_NO_BREAK = "\xa0"


class CommandError(Exception):
    """The command failed.

    Args:
        message: what is wrong, as one plain line for the user.
        remedy: a sentence that says what to do, if the message does not.
    """

    exit_code = 1
    """2 if the command, an argument or a setting is wrong."""

    def __init__(self, message: str, remedy: str | None = None) -> None:
        super().__init__(message)
        self.remedy = remedy

    @property
    def text(self) -> str:
        """The message and the remedy."""
        return f"{self}. {self.remedy}" if self.remedy else str(self)


class UsageError(CommandError):
    """The command cannot be used in this way."""

    exit_code = 2


def report(text: object) -> None:
    """Prints each line of a text on standard error, after `rapl: `."""
    for line in str(text).splitlines():
        # One write, so that no other process can write between the text and its end.
        print(for_terminal(f"rapl: {line}") + "\n", end="", file=sys.stderr, flush=True)


def for_terminal(text: str) -> str:
    """A line with breaks between words that fit the terminal of standard error; unchanged if that is not a terminal.

    A command in backquotes stays on one line, so that it can be copied.
    """
    if not sys.stderr.isatty():
        return text
    columns = shutil.get_terminal_size().columns
    kept = re.sub("`[^`]*`", lambda command: command[0].replace(" ", _NO_BREAK), text)
    return textwrap.fill(kept, columns, break_long_words=False, break_on_hyphens=False).replace(_NO_BREAK, " ")

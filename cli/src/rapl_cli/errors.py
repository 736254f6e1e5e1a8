"""The errors that end a command with one line."""


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


class UsageError(CommandError):
    """The command cannot be used in this way."""

    exit_code = 2

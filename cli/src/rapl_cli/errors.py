"""The errors that end a command with one line."""


class CommandError(Exception):
    """The command failed. The message is one plain line for the user, with a remedy where there is one."""

    exit_code = 1
    """2 if the command, an argument or a setting is wrong."""


class UsageError(CommandError):
    """The command cannot be used in this way."""

    exit_code = 2

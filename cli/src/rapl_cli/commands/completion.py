"""`rapl completion`: a script that completes commands and options in a shell."""

import shtab

from rapl_cli.command_line import main_parser

_COMPLETED = {"FILES": shtab.FILE, "DIR": shtab.DIRECTORY}
"""What is completed for an argument that is shown as this in the help."""


def completion(shell: str) -> int:
    parser = main_parser()
    for command in parser.commands.values():
        for action in command._actions:  # argparse has no public list of arguments; shtab reads the same one
            if isinstance(action.metavar, str) and action.metavar in _COMPLETED:
                action.complete = _COMPLETED[action.metavar]  # pyright: ignore[reportAttributeAccessIssue]
    print(shtab.complete(parser, shell))
    return 0

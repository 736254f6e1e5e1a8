"""`rapl listen`: prints what a person says while it is said, from the microphone or a file."""

import argparse
import asyncio
import signal
from collections.abc import Callable

import pyperclip

from rapl_cli.errors import UsageError, report
from rapl_cli.gateway_address import GatewayAddress
from rapl_cli.listening.audio import AudioFile, Microphone
from rapl_cli.listening.live_text import LiveText
from rapl_cli.listening.session import ListeningSession


def listen(options: argparse.Namespace) -> int:
    """Returns 0 if every turn has its text, 1 if one has none.

    Raises:
        CommandError: there is no microphone, no clipboard or no gateway, or the file cannot be read.
    """
    copy = _clipboard() if options.copy else None
    source = AudioFile(options.file) if options.file else Microphone()
    text = LiveText(_print)
    fields = {"model": options.model, "language": options.language, "prompt": options.prompt}
    given = {name: value for name, value in fields.items() if value}
    session = ListeningSession(GatewayAddress.chosen(options.url, options.api_key), given, text)
    if not options.file:
        report("speak; Ctrl-C ends it")
    try:
        asyncio.run(_until_stopped(session, source))
    finally:
        if copy and text.text:
            copy(text.text)
    for failure in session.failures:
        report(f"a turn has no text: {failure}")
    return 1 if session.failures else 0


async def _until_stopped(session: ListeningSession, source: AudioFile | Microphone) -> None:
    """The first Ctrl-C ends the audio; what was said still gets its text. The second one ends the command."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def stopped() -> None:
        stop.set()
        loop.remove_signal_handler(signal.SIGINT)

    loop.add_signal_handler(signal.SIGINT, stopped)
    await session.run(source, stop)


def _clipboard() -> Callable[[str], None]:
    """What puts a text into the clipboard. Raises: UsageError: there is no clipboard."""
    copy, _ = pyperclip.determine_clipboard()
    if not copy:
        raise UsageError("--copy needs a clipboard; on Linux install wl-clipboard or xclip")
    return copy


def _print(text: str) -> None:
    print(text, end="", flush=True)

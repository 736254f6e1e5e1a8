"""What the clients share: the audio at the speed of a speaker, and the turns that came back."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

PIECE_S = 0.02
RATE_HZ = 16_000
PIECE_BYTES = int(PIECE_S * RATE_HZ) * 2
MODES = ("client", "server")
"""Who finds the ends of turns."""
LIMIT_S = 60.0
"""How long a client waits for its turns."""
REPEATED_S = 0.5
"""How long a client waits for a turn that comes twice."""


def audio_of(files: list[str]) -> bytes:
    """16 kHz mono s16le."""
    return b"".join(Path(file).read_bytes() for file in files)


async def spoken(audio: bytes) -> AsyncIterator[bytes]:
    """The audio in pieces of PIECE_S seconds, as fast as it is spoken."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number, at in enumerate(range(0, len(audio), PIECE_BYTES)):
        await asyncio.sleep(began + number * PIECE_S - loop.time())
        yield audio[at : at + PIECE_BYTES]


class Turns:
    """The turns that came back."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._completed: list[dict[str, object]] = []
        self._errors: list[str] = []
        self._ended = asyncio.Event()

    def add(self, turn: dict[str, object]) -> None:
        self._completed.append(turn)
        if len(self._completed) >= self._expected:
            self._ended.set()

    def fail(self, error: str) -> None:
        self._errors.append(error)
        self._ended.set()

    async def all(self) -> dict[str, object]:
        """Waits for as many turns as there should be, and then for more of them."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), LIMIT_S)
        await asyncio.sleep(REPEATED_S)
        return {"turns": self._completed, "errors": self._errors}


async def run_all(models: str, session: Callable[[str, str], Awaitable[object]]) -> None:
    """Runs `session(model, mode)` for each of the models, which are separated by commas, and each mode, all at once.

    Prints the results as JSON, by model and mode.
    """
    names = models.split(",")
    results = await asyncio.gather(*(session(name, mode) for name in names for mode in MODES))
    found = iter(results)
    print(json.dumps({name: {mode: next(found) for mode in MODES} for name in names}))

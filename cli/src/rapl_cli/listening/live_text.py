"""The text of the turns, in their order, as it grows."""

from collections import defaultdict
from collections.abc import Callable


class LiveText:
    """Writes the text of one turn after the other: the text of a later turn waits until those before it are complete.

    Args:
        write: gets the text to append; a turn ends with a line end.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._waiting: defaultdict[str, str] = defaultdict(str)
        """The text that is not written yet, by turn, in the order in which the turns began."""
        self._complete: set[str] = set()
        self._written = ""

    @property
    def text(self) -> str:
        """What was written, without the last line end."""
        return self._written.rstrip("\n")

    def begin(self, turn: str) -> None:
        """The turn comes after those that have begun before."""
        self._waiting[turn] += ""

    def append(self, turn: str, delta: str) -> None:
        self._waiting[turn] += delta
        self._write_what_can_be()

    def complete(self, turn: str) -> None:
        self._complete.add(turn)
        self.begin(turn)
        self._write_what_can_be()

    def _write_what_can_be(self) -> None:
        while self._waiting:
            turn = next(iter(self._waiting))
            self._put(self._waiting[turn])
            self._waiting[turn] = ""
            if turn not in self._complete:
                return
            del self._waiting[turn]
            if self._written and not self._written.endswith("\n"):
                self._put("\n")

    def _put(self, text: str) -> None:
        if text:
            self._written += text
            self._write(text)

"""What speakers are called: the known ones by their names, the others by letters."""

from collections.abc import Iterator, Sequence
from itertools import count
from string import ascii_uppercase

from rapl_protocol.speakers import SpeakerTurn


class Labels:
    """The labels of a recording's speakers. Letters are given in the order in which they are asked for.

    Args:
        turns: tell which speaker is a known one.
        names: the names of the known speakers, in the order of their references.
    """

    def __init__(self, turns: Sequence[SpeakerTurn], names: Sequence[str]) -> None:
        self._labels = {
            turn.speaker: names[turn.reference]
            for turn in turns
            if turn.reference is not None and turn.reference < len(names)
        }
        self._letters = (letter for letter in letters() if letter not in names)

    def of(self, speaker: int | None) -> str:
        """Returns the label of a speaker. `None` is one who is in no turn."""
        key = -1 if speaker is None else speaker
        if key not in self._labels:
            self._labels[key] = next(self._letters)
        return self._labels[key]


def letters() -> Iterator[str]:
    """Yields A to Z, then AA, AB and so on."""
    for number in count():
        letters, rest = "", number
        while rest >= 0:
            rest, last = divmod(rest, len(ascii_uppercase))
            letters = ascii_uppercase[last] + letters
            rest -= 1
        yield letters

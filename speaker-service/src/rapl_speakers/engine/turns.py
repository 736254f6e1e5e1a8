"""From labelled times to turns: in order, without short gaps, with speakers in the order of their first turn."""

from array import array
from collections.abc import Iterator, Sequence

from rapl_protocol.speakers import SpeakerTurn

from rapl_speakers.engine.voices import Labels

SHORTEST_TURN_S = 0.25
"""What is shorter is hardly ever a word, but an error at a boundary."""
LONGEST_GAP_S = 0.5
"""A shorter pause of one person does not end the turn."""


class SpokenTimes:
    """When each piece is spoken. It holds 20 bytes for each time: a recording of ten hours has about 50,000."""

    def __init__(self) -> None:
        self._starts, self._ends, self._pieces = array("d"), array("d"), array("i")

    def add(self, start_s: float, end_s: float, piece: int) -> None:
        self._starts.append(start_s)
        self._ends.append(end_s)
        self._pieces.append(piece)

    def labelled(self, person_of_piece: Labels) -> Iterator[tuple[float, float, int]]:
        """Start, end and person of each time, by start."""
        for number in sorted(range(len(self._starts)), key=self._starts.__getitem__):
            yield self._starts[number], self._ends[number], int(person_of_piece[self._pieces[number]])


def turns_of(times: Iterator[tuple[float, float, int]], references: Sequence[int | None]) -> tuple[SpeakerTurn, ...]:
    """Joins the times of each person to turns.

    Args:
        times: start, end and person, by start.
        references: the reference of each person. People with the same reference are one person.
    """
    open_turns: dict[int, tuple[float, float]] = {}
    found: list[tuple[float, float, int]] = []
    first_with = {each: person for person, each in reversed(list(enumerate(references))) if each is not None}
    for start_s, end_s, person in times:
        reference = references[person]
        person = person if reference is None else first_with[reference]
        begun = open_turns.get(person)
        if begun and start_s - begun[1] <= LONGEST_GAP_S:
            open_turns[person] = (begun[0], max(begun[1], end_s))
            continue
        if begun:
            found.append((*begun, person))
        open_turns[person] = (start_s, end_s)
    found += [(*begun, person) for person, begun in open_turns.items()]
    found = sorted(turn for turn in found if turn[1] - turn[0] >= SHORTEST_TURN_S)
    numbers = {person: number for number, person in enumerate(dict.fromkeys(person for _, _, person in found))}
    return tuple(
        SpeakerTurn(
            start_s=round(start_s, 3), end_s=round(end_s, 3), speaker=numbers[person], reference=references[person]
        )
        for start_s, end_s, person in found
    )

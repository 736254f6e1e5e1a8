"""Known speakers: conversations of people of whom some have a reference, and how much of their speech gets its name."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rapl_protocol.speakers import SpeakerTurn

from rapl_bench.groups.speakers.mixtures import Conversation, Samples, conversation
from rapl_bench.groups.speakers.people import KnownPerson

_FRAMES_PER_S = 100
_FIRST_SEED = 5000
Frames = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class KnownConversation:
    conversation: Conversation
    references: dict[str, bytes]
    """s16le by name: of half of the people who speak, and of everybody who does not speak."""


@dataclass(frozen=True, slots=True)
class Named:
    """Of one conversation: seconds in which exactly one person speaks."""

    known_s: float
    """Speech of people with a reference."""
    right_s: float
    as_another_s: float
    without_turn_s: float
    stranger_s: float
    """Speech of people without a reference."""
    stranger_named_s: float


def known_conversations(
    people: Sequence[KnownPerson], noise: Sequence[Samples], number: int, most: int, duration_s: float
) -> Iterator[KnownConversation]:
    for seed in range(_FIRST_SEED, _FIRST_SEED + number):
        random = np.random.default_rng(seed)
        count = int(random.integers(2, min(most, len(people)) + 1))
        order = [people[index] for index in random.permutation(len(people))]
        strangers = {each.talk.name for each in order[: (count + 1) // 2]}
        made = conversation([each.talk for each in order[:count]], noise[seed % len(noise)], duration_s, seed)
        references = {each.talk.name: each.reference for each in people if each.talk.name not in strangers}
        yield KnownConversation(made, references)


def named(case: KnownConversation, found: Sequence[SpeakerTurn]) -> Named:
    """Compares the names that turns got with who speaks."""
    size = round(case.conversation.duration_s * _FRAMES_PER_S) + 1
    truth = {name: _frames(size, ((start, end) for start, end, other in case.conversation.turns if other == name))
             for name in {name for *_, name in case.conversation.turns}}  # fmt: skip
    alone = sum(frames.astype(int) for frames in truth.values()) == 1
    given = [_frames(size, ((turn.start_s, turn.end_s) for turn in found if turn.reference == index))
             for index in range(len(case.references))]  # fmt: skip
    by_name = dict(zip(case.references, given, strict=True))
    any_name = np.logical_or.reduce(given)
    any_turn = _frames(size, ((turn.start_s, turn.end_s) for turn in found))
    known = {name: frames & alone for name, frames in truth.items() if name in by_name}
    strangers = [frames & alone for name, frames in truth.items() if name not in by_name]
    return Named(
        known_s=_seconds(known.values()),
        right_s=_seconds(frames & by_name[name] for name, frames in known.items()),
        as_another_s=_seconds(frames & any_name & ~by_name[name] for name, frames in known.items()),
        without_turn_s=_seconds(frames & ~any_turn for frames in known.values()),
        stranger_s=_seconds(strangers),
        stranger_named_s=_seconds(frames & any_name for frames in strangers),
    )


def _frames(size: int, times: Iterable[tuple[float, float]]) -> Frames:
    frames = np.zeros(size, np.bool_)
    for start_s, end_s in times:
        frames[round(start_s * _FRAMES_PER_S) : round(end_s * _FRAMES_PER_S)] = True
    return frames


def _seconds(parts: Iterable[Frames]) -> float:
    return float(sum(frames.sum() for frames in parts)) / _FRAMES_PER_S

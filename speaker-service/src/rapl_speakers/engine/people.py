"""Which groups of pieces are the same person's, how many people there are, and who of them is known."""

from dataclasses import dataclass

import numpy as np

from rapl_speakers.engine.voices import Groups, Labels
from rapl_speakers.networks.checkpoint import Floats

LEAST_PIECE_S = 0.5
"""The voice in a shorter group is too uncertain to make a person of it; it goes to the most similar person."""


MOST_OF_LEAST_S = 10.0
"""Somebody with this much audio is a person in a recording of any length."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Thresholds, measured by `./rapl bench speakers`."""

    same_person: float = 0.32
    """Groups are one person's from this mean cosine of their pieces on."""
    least_person_s: float = 1.5
    """Somebody with less audio is not counted as a person, if there is anybody with more."""
    least_person_share: float = 0.01
    """In a longer recording, this share of all audio is the least, but never more than MOST_OF_LEAST_S."""
    known_person: float = 0.5
    """A person is a known one from this cosine of their voice and the reference on, if no other reference is nearly as
    similar."""
    known_margin: float = 0.25
    """By so much the cosine with every other reference must be lower."""
    certain_person: float = 0.6
    """From this cosine on the other references do not matter."""

    def least_s(self, all_s: float) -> float:
        """The least audio of a person in a recording with `all_s` seconds of it."""
        return min(max(self.least_person_s, self.least_person_share * all_s), MOST_OF_LEAST_S)


@dataclass(frozen=True, slots=True)
class People:
    person_of: Labels
    """The person of each group: 0, 1, 2 ..."""
    voices: Floats
    """float32, (people, 192), of length 1."""


def people_in(groups: Groups, rules: Rules, number: int | None = None) -> People:
    """Finds the people.

    Args:
        groups: of a recording.
        rules: thresholds.
        number: how many people there are, if it is known.
    """
    is_certain = groups.seconds >= LEAST_PIECE_S
    if not is_certain.any():
        is_certain[:] = True
    certain = groups.selected(is_certain)
    labels = certain.labels_from(rules.same_person) if number is None else _labels_for(certain, rules, number)
    found = certain.joined(labels)
    kept = _kept(found, rules, number)
    voices = _normalised(found.sums[kept])
    person_of = np.asarray((_normalised(groups.sums) @ voices.T).argmax(axis=1), np.int32)
    # Groups of a person who is kept stay with this person.
    number_of_kept = np.full(len(found), -1, np.int32)
    number_of_kept[kept] = np.arange(kept.sum(), dtype=np.int32)
    known = number_of_kept[labels]
    person_of[is_certain] = np.where(known >= 0, known, person_of[is_certain])
    return People(person_of, voices)


def _labels_for(groups: Groups, rules: Rules, number: int) -> Labels:
    """Joins groups until there are `number` people with enough audio, if there can be so many."""
    best = groups.labels_from(rules.same_person, number)
    for more in range(number, min(len(groups), number + _MORE_TRIES) + 1):
        labels = groups.labels_from(rules.same_person, more)
        if (groups.joined(labels).seconds >= rules.least_s(float(groups.seconds.sum()))).sum() >= number:
            return labels
    return best


def _kept(found: Groups, rules: Rules, number: int | None) -> np.ndarray:
    """Whom to keep as a person."""
    kept = found.seconds >= rules.least_s(float(found.seconds.sum()))
    if number is not None:
        order = np.argsort(-found.seconds, kind="stable")
        kept = np.zeros(len(found), np.bool_)
        kept[order[:number]] = True
    elif not kept.any():
        kept = np.zeros(len(found), np.bool_)
        kept[found.seconds.argmax()] = True
    return kept


def known_people(voices: Floats, references: Floats, rules: Rules) -> list[int | None]:
    """The index of each person's reference, or None. Several people may have the same one: they are one person.

    Args:
        voices: float32, (people, 192), of length 1.
        references: float32, (references, 192), of length 1.
    """
    if not len(references) or not len(voices):
        return [None] * len(voices)
    return [_known(similar, rules) for similar in voices @ references.T]


def _known(similar: Floats, rules: Rules) -> int | None:
    """The index of the reference that is the person's, of the cosines with all; or None."""
    best = int(similar.argmax())
    others = np.delete(similar, best).max(initial=-1.0)
    least = rules.known_person
    if similar[best] < rules.certain_person:
        least = max(least, float(others) + rules.known_margin)
    return best if similar[best] >= least else None


def _normalised(vectors: Floats) -> Floats:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


_MORE_TRIES = 64

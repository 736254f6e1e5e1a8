"""How many people there are, whose the pieces are, and who is known, on vectors as similar as real voices."""

import numpy as np
import pytest
from rapl_speakers.engine.people import Rules, known_people, people_in
from rapl_speakers.engine.voices import GROUPS_AFTER_JOINING, MOST_GROUPS, Voices

SAME, OTHER = 0.70, 0.25
"""Mean cosine of two pieces of one person, and of two people."""
RULES = Rules(same_person=0.45)


class Recording:
    """Voices with these similarities, from a fixed seed."""

    def __init__(self, seed: int = 1) -> None:
        self._random = np.random.default_rng(seed)
        self._all = self._vector() * OTHER**0.5
        self.voices = Voices()
        self.truth: list[int] = []
        self._people: list[np.ndarray] = []

    def voice(self, person: int) -> np.ndarray:
        """Another piece of the person's voice."""
        while person >= len(self._people):
            self._people.append(self._all + self._vector() * (SAME - OTHER) ** 0.5)
        found = self._people[person] + self._vector() * (1 - SAME) ** 0.5
        return (found / np.linalg.norm(found)).astype(np.float32)

    def speak(self, person: int, pieces: int, seconds: float = 1.4) -> None:
        found = np.stack([self.voice(person) for _ in range(pieces)])
        self.voices.add(found, np.full(pieces, seconds, np.float32))
        self.truth += [person] * pieces

    def found(self, number: int | None = None) -> list[int]:
        """The person of each piece, numbered in the order of their first pieces."""
        people = people_in(self.voices.groups, RULES, number)
        labels = people.person_of[self.voices.group_of].tolist()
        order = list(dict.fromkeys(labels))
        return [order.index(label) for label in labels]

    def _vector(self) -> np.ndarray:
        found = self._random.normal(size=192)
        return found / np.linalg.norm(found)


def test_two_people_in_ten_seconds_are_two():
    recording = Recording()
    recording.speak(0, 3)
    recording.speak(1, 3)

    assert recording.found() == recording.truth


@pytest.mark.parametrize("pieces", [1, 2, 200])
def test_one_person_is_one(pieces: int):
    recording = Recording()
    recording.speak(0, pieces)

    assert recording.found() == recording.truth


@pytest.mark.parametrize("people", [2, 5, 8])
def test_the_number_of_people_is_found(people: int):
    recording = Recording()
    for _ in range(3):
        for person in range(people):
            recording.speak(person, 4)

    assert recording.found() == recording.truth


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_number_that_is_given_is_kept(number: int):
    recording = Recording()
    for person in range(3):
        recording.speak(person, 10)

    assert len(set(recording.found(number))) == number


def test_no_more_people_are_found_than_there_are_pieces():
    recording = Recording()
    recording.speak(0, 2)

    assert len(set(recording.found(8))) == 2


def test_a_word_of_half_a_second_makes_no_new_person():
    recording = Recording()
    recording.speak(0, 10)
    recording.speak(1, 1, seconds=0.3)

    assert set(recording.found()) == {0}


def test_words_of_half_a_second_are_compared_if_there_is_nothing_else():
    recording = Recording()
    recording.speak(0, 4, seconds=0.4)
    recording.speak(1, 4, seconds=0.4)

    assert recording.found() == recording.truth


def test_ten_hours_are_grouped_in_bounded_memory_and_the_people_are_still_found():
    recording = Recording()
    for _ in range(60):
        for person in range(6):
            recording.speak(person, 60)

    assert len(recording.voices.group_of) == 21_600
    assert GROUPS_AFTER_JOINING <= MOST_GROUPS
    assert len(recording.voices.groups) <= MOST_GROUPS
    assert recording.found() == recording.truth


def test_the_same_audio_again_and_again_is_one_person():
    recording = Recording()
    jingle = np.stack([recording.voice(0) for _ in range(100)])
    for _ in range(3):
        recording.voices.add(jingle, np.full(100, 1.4, np.float32))

    assert set(people_in(recording.voices.groups, RULES).person_of) == {0}


def test_a_known_person_is_found_and_a_stranger_is_not():
    recording = Recording()
    for person in range(3):
        recording.speak(person, 10)
    people = people_in(recording.voices.groups, RULES)
    references = np.stack([recording.voice(7), recording.voice(2), recording.voice(0)])

    found = known_people(people.voices, references, RULES)

    first, second, third = people.person_of[recording.voices.group_of[[0, 10, 20]]]
    assert (found[first], found[second], found[third]) == (2, None, 1)


def test_without_references_everybody_is_unknown():
    recording = Recording()
    recording.speak(0, 3)
    people = people_in(recording.voices.groups, RULES)

    assert known_people(people.voices, np.empty((0, 192), np.float32), RULES) == [None]


def cosines(*values: float) -> np.ndarray:
    """References of length 1 whose cosines with the voice (1, 0, 0, ...) are these."""
    references = np.zeros((len(values), 192), np.float32)
    for number, value in enumerate(values):
        references[number, 0], references[number, number + 1] = value, np.sqrt(1 - value**2)
    return references


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ((0.52, 0.12), 0),  # in noise a person is no more like their own reference
        ((0.52, 0.33), None),  # somebody else whose recording sounds like both
        ((0.52,), 0),
        ((0.48, 0.1), None),
        ((0.45, 0.88), 1),  # two people who sound alike, both known
    ],
)
def test_a_voice_is_a_known_one_only_if_no_other_reference_is_nearly_as_similar(values, found):
    voice = np.eye(1, 192, dtype=np.float32)

    assert known_people(voice, cosines(*values), RULES) == [found]

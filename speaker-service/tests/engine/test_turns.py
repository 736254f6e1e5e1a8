"""Labelled times become turns in order, and speakers are numbered by their first turn."""

import pytest
from rapl_speakers.engine.turns import LONGEST_GAP_S, SHORTEST_TURN_S, turns_of


def turns(*times: tuple[float, float, int], references: tuple[int | None, ...] = (None, None, None)):
    return [(t.start_s, t.end_s, t.speaker, t.reference) for t in turns_of(iter(times), references)]


def test_no_times_are_no_turns():
    assert turns() == []


def test_speakers_are_numbered_in_the_order_of_their_first_turn():
    assert turns((0.0, 1.0, 2), (2.0, 3.0, 0), (4.0, 5.0, 2)) == [
        (0.0, 1.0, 0, None),
        (2.0, 3.0, 1, None),
        (4.0, 5.0, 0, None),
    ]


@pytest.mark.parametrize(("gap_s", "count"), [(LONGEST_GAP_S, 1), (LONGEST_GAP_S + 0.1, 2)])
def test_a_short_pause_does_not_end_a_turn(gap_s: float, count: int):
    assert len(turns((0.0, 1.0, 0), (1.0 + gap_s, 3.0, 0))) == count


def test_what_is_shorter_than_a_word_is_no_turn():
    assert turns((0.0, SHORTEST_TURN_S - 0.05, 1), (0.1, 1.0, 0)) == [(0.1, 1.0, 0, None)]


def test_turns_of_two_people_may_overlap():
    assert turns((0.0, 4.0, 0), (1.0, 2.0, 1), (4.2, 5.0, 0)) == [(0.0, 5.0, 0, None), (1.0, 2.0, 1, None)]


def test_two_voices_with_the_same_reference_are_one_speaker():
    found = turns((0.0, 1.0, 0), (5.0, 6.0, 1), (8.0, 9.0, 2), references=(3, None, 3))

    assert found == [(0.0, 1.0, 0, 3), (5.0, 6.0, 1, None), (8.0, 9.0, 0, 3)]

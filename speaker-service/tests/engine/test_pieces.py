"""What each person says alone becomes pieces; overlaps belong to the nearest piece, but are no part of its audio."""

import numpy as np
import pytest
from rapl_speakers.engine.pieces import FRAME_S, VoicePiece, pieces_of


def frames(duration_s: float) -> int:
    return round(duration_s / FRAME_S)


def people(*spoken: tuple[int, float, float], duration_s: float = 10.0) -> np.ndarray:
    """Who speaks: number of the person, start and end in seconds."""
    found = np.zeros((frames(duration_s), 3), np.bool_)
    for person, start_s, end_s in spoken:
        found[frames(start_s) : frames(end_s), person] = True
    return found


def pieces(*spoken: tuple[int, float, float]) -> list[list[VoicePiece]]:
    return list(pieces_of(people(*spoken)))


def test_silence_has_no_pieces():
    assert pieces() == []


def test_one_person_gets_pieces_of_at_most_a_second_and_a_half_that_cover_everything():
    [found] = pieces((1, 2.0, 8.0))

    assert max(piece.seconds for piece in found) <= 1.5
    assert sum(piece.seconds for piece in found) == pytest.approx(6, abs=0.05)


def test_two_people_who_take_turns_get_pieces_of_their_own():
    first, second = pieces((0, 0.0, 1.0), (1, 1.2, 2.0), (0, 2.2, 2.6))

    assert [len(first), len(second)] == [1, 1]
    assert [piece.seconds for piece in (*first, *second)] == pytest.approx([1.4, 0.8], abs=0.06)
    assert len(first[0].alone) == 2


def test_a_pause_ends_a_piece():
    [[first, second]] = pieces((0, 0.0, 1.1), (0, 1.5, 2.4))

    assert first.alone[-1][1] == pytest.approx(1.1, abs=0.05)
    assert second.alone[0][0] == pytest.approx(1.5, abs=0.05)


def test_an_overlap_is_spoken_by_both_and_is_in_the_audio_of_neither():
    [first], [second] = pieces((0, 0.0, 1.2), (1, 0.8, 2.0))

    assert first.alone[-1][1] == pytest.approx(0.8, abs=0.05)
    assert first.spoken[-1][1] == pytest.approx(1.2, abs=0.05)
    assert second.alone[0][0] == pytest.approx(1.2, abs=0.05)
    assert second.spoken[0][0] == pytest.approx(0.8, abs=0.05)


def test_an_overlap_belongs_to_the_nearest_piece_only():
    [found, _] = pieces((0, 0.0, 6.0), (1, 5.5, 6.0))

    ends = [piece.spoken[-1][1] for piece in found]
    assert max(ends) == ends[-1] == pytest.approx(6, abs=0.05)
    assert sum(end - start for piece in found for start, end in piece.spoken) == pytest.approx(6, abs=0.05)


def test_somebody_who_never_speaks_alone_gets_a_piece_of_the_overlap():
    [_, [found]] = pieces((0, 0.0, 3.0), (1, 1.0, 2.0))

    assert found.alone == found.spoken
    assert found.seconds == pytest.approx(1, abs=0.05)

"""Sets of intervals, compared with sets of whole seconds."""

from hypothesis import given
from hypothesis import strategies as st
from rapl_protocol.intervals import Interval, Intervals, difference, intersection, merged, total_s

seconds = st.sets(st.integers(0, 40))


def intervals_of(whole: set[int]) -> Intervals:
    return merged(Interval(second, second + 1) for second in whole)


@given(seconds, seconds)
def test_intersection_and_difference_are_those_of_sets(first: set[int], second: set[int]) -> None:
    a, b = intervals_of(first), intervals_of(second)

    assert intersection(a, b) == intervals_of(first & second)
    assert difference(a, b) == intervals_of(first - second)
    assert total_s(difference(a, b)) + total_s(intersection(a, b)) == total_s(a)


def test_intervals_become_one_if_the_gap_between_them_is_small() -> None:
    apart = (Interval(4.0, 5.0), Interval(0.0, 1.0), Interval(1.5, 2.0))

    assert merged(apart, gap_s=0.5) == (Interval(0.0, 2.0), Interval(4.0, 5.0))
    assert merged(apart) == (Interval(0.0, 1.0), Interval(1.5, 2.0), Interval(4.0, 5.0))


def test_a_shifted_interval_keeps_its_duration() -> None:
    assert Interval(1.0, 3.0).shifted(2.0) == Interval(3.0, 5.0)
    assert Interval(3.0, 5.0).duration_s == 2.0

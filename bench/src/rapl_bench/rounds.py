"""Contestants take turns, so that what else happens on the machine happens to all of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


def interleaved(contestants: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Runs every contestant once a round, another one first each time; results by name."""
    results: dict[str, list[T]] = {name: [] for name in contestants}
    for number in range(rounds):
        for name in rotated(list(contestants), number):
            results[name].append(contestants[name]())
    return results


def rotated(names: Sequence[str], number: int) -> Sequence[str]:
    """The names in the order of the round with this number, from 0."""
    first = number % len(names)
    return [*names[first:], *names[:first]]

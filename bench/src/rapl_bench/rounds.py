"""Interleaved rounds: other load on the machine then affects all contestants alike."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


def interleaved(contestants: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Runs every contestant once per round, and returns the results by name. Each round starts with another one."""
    results: dict[str, list[T]] = {name: [] for name in contestants}
    for number in range(rounds):
        for name in rotated(list(contestants), number):
            results[name].append(contestants[name]())
    return results


def rotated(names: Sequence[str], number: int) -> Sequence[str]:
    """The order of the names in round `number`, counted from 0."""
    first = number % len(names)
    return [*names[first:], *names[:first]]

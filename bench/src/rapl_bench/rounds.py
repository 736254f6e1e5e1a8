"""Contestants take turns, so that what else happens on the machine happens to all of them."""

from collections.abc import Callable, Mapping
from typing import TypeVar

T = TypeVar("T")


def interleaved(contestants: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Runs every contestant once a round, in an order that begins with another one each time; results by name."""
    results: dict[str, list[T]] = {name: [] for name in contestants}
    names = list(contestants)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            results[name].append(contestants[name]())
    return results

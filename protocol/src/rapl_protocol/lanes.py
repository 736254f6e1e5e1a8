"""The order in which an engine takes its requests: what is short and waited for first, but long work goes on too."""

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

MAX_PASSED = 8
"""So many short requests may pass a long one that waits; then it is its turn, or a busy day would keep it for ever."""


class Lanes(Generic[T]):
    """Waiting requests, in two lanes. Not safe for threads by itself."""

    def __init__(self) -> None:
        self._short: deque[T] = deque()
        self._long: deque[T] = deque()
        self._passed = 0

    def __len__(self) -> int:
        return len(self._short) + len(self._long)

    def __iter__(self) -> Iterator[T]:
        yield from self._short
        yield from self._long

    def add(self, item: T, *, is_long: bool) -> None:
        (self._long if is_long else self._short).append(item)

    def put_back(self, item: T) -> None:
        """To the very front, for what was begun already."""
        self._short.appendleft(item)

    def take(self) -> T | None:
        """The next one, if there is any."""
        if self._long and (not self._short or self._passed >= MAX_PASSED):
            self._passed = 0
            return self._long.popleft()
        if not self._short:
            return None
        self._passed += bool(self._long)
        return self._short.popleft()

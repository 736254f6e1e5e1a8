"""The order in which requests are taken: what is short and waited for first, but long work goes on too.

Within a lane those who ask take turns, so that nobody's many requests keep another's one waiting.
"""

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

MAX_PASSED = 8
"""So many short requests may pass a long one that waits; then it is its turn, or a busy day would keep it for ever."""


class FairQueue(Generic[T]):
    """Waiting requests, in two lanes. Not safe for threads by itself."""

    def __init__(self) -> None:
        self._short: _Turns[T] = _Turns()
        self._long: _Turns[T] = _Turns()
        self._passed = 0

    def __len__(self) -> int:
        return len(self._short) + len(self._long)

    def __bool__(self) -> bool:
        return bool(self._short or self._long)

    def __iter__(self) -> Iterator[T]:
        yield from self._short
        yield from self._long

    def add(self, item: T, *, is_long: bool, client_id: str = "") -> None:
        """`client_id` says whose it is; the requests of one are taken in the order in which they came."""
        (self._long if is_long else self._short).add(item, client_id)

    def put_back(self, item: T) -> None:
        """To the very front, for what was begun already."""
        self._short.put_back(item)

    def take(self) -> T | None:
        """The next one, if there is any."""
        if self._long and (not self._short or self._passed >= MAX_PASSED):
            self._passed = 0
            return self._long.take()
        if not self._short:
            return None
        self._passed += bool(self._long)
        return self._short.take()

    def take_short(self) -> T | None:
        """The next one of the short lane, whatever waits in the other."""
        return self._short.take() if self._short else None


class _Turns(Generic[T]):
    """A queue for each client; the client at the front is the next to be served, and goes to the back then."""

    def __init__(self) -> None:
        self._first: deque[T] = deque()
        self._clients: dict[str, deque[T]] = {}
        """None is empty."""

    def __len__(self) -> int:
        return len(self._first) + sum(len(queue) for queue in self._clients.values())

    def __iter__(self) -> Iterator[T]:
        yield from self._first
        for queue in self._clients.values():
            yield from queue

    def __bool__(self) -> bool:
        return bool(self._first or self._clients)

    def add(self, item: T, client_id: str) -> None:
        self._clients.setdefault(client_id, deque()).append(item)

    def put_back(self, item: T) -> None:
        self._first.appendleft(item)

    def take(self) -> T:
        if self._first:
            return self._first.popleft()
        client_id = next(iter(self._clients))
        queue = self._clients.pop(client_id)
        item = queue.popleft()
        if queue:
            self._clients[client_id] = queue
        return item

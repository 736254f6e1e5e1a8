"""The order of waiting requests: short ones go first, then partial ones, then long ones, and clients take turns.

`FairQueue` orders the gateway's segments; `BoundedQueue` orders an engine's requests and refuses those beyond a limit.
"""

from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import Generic, TypeVar

from rapl_protocol.errors import ErrorCode, ServiceError

T = TypeVar("T")

MAX_PASSED = 8
"""Most requests that may overtake a waiting long one. Without a limit, it could wait for ever."""


class FairQueue(Generic[T]):
    """Waiting requests: one queue for short ones, one for partial ones and one for long ones. Not thread-safe.

    A partial request is for audio that is still growing. It can be left out without loss, so it may wait for ever.

    Iteration yields the requests that were put back, then the short, the partial and the long ones. Clients take turns.
    """

    def __init__(self) -> None:
        self._put_back: deque[T] = deque()
        self._short: _ClientTurns[T] = _ClientTurns()
        self._partial: _ClientTurns[T] = _ClientTurns()
        self._long: _ClientTurns[T] = _ClientTurns()
        self._passed = 0

    def __len__(self) -> int:
        return len(self._put_back) + len(self._short) + len(self._partial) + len(self._long)

    def __bool__(self) -> bool:
        return bool(self._put_back or self._short or self._partial or self._long)

    def __iter__(self) -> Iterator[T]:
        return chain(self._put_back, self._short, self._partial, self._long)

    def add(self, item: T, *, is_long: bool, is_partial: bool = False, client_id: str = "") -> None:
        """Appends a request. One client's requests keep their order; different clients take turns."""
        (self._partial if is_partial else self._long if is_long else self._short).add(item, client_id)

    def put_back(self, item: T) -> None:
        """Puts a request that was already taken back to the front, so that it is taken next."""
        self._put_back.appendleft(item)

    def take(self) -> T | None:
        """Removes and returns the next request, or None if the queue is empty."""
        if self._put_back:
            return self._put_back.popleft()
        before_long = self._short or self._partial
        if self._long and (not before_long or self._passed >= MAX_PASSED):
            self._passed = 0
            return self._long.take()
        if not before_long:
            return None
        self._passed += bool(self._long)
        return before_long.take()

    def take_short(self) -> T | None:
        """Removes and returns the next short request, even if it is the turn of a long one."""
        return self._short.take() if self._short else None

    def take_early(self, item: T) -> None:
        """Removes a request before its turn. A short one is counted as one that overtook the waiting long ones."""
        self._passed += item in self._short and bool(self._long)
        self.remove(item)

    def remove(self, item: T) -> None:
        """Removes a request, such as a cancelled one. Does nothing if it is not in the queue."""
        if item in self._put_back:
            self._put_back.remove(item)
        for each in (self._short, self._partial, self._long):
            each.remove(item)


class BoundedQueue(FairQueue[T]):
    """A `FairQueue` of an engine, with a limit and an estimate of how long its requests take. Not thread-safe.

    Cancelled requests must be removed with `remove`, so that they are neither run nor counted.

    Args:
        limit: most requests of the engine: those in the queue and `in_work`.
    """

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit
        self.in_work = 0
        """Requests that were taken and still count against the limit; 0 if the limit is for waiting requests only."""
        self.request_s = 1.0
        """Seconds that the latest request took, measured by the engine; before the first one, an estimate."""

    def add(self, item: T, *, is_long: bool, is_partial: bool = False, client_id: str = "") -> None:
        """Same as `FairQueue.add`, with a limit.

        Raises:
            ServiceError: OVERLOADED if the queue is full; `retry_after_s` is the estimated time until it is empty.
        """
        held = len(self) + self.in_work
        if held >= self._limit:
            message = f"the engine already holds {held} requests for this model"
            raise ServiceError(ErrorCode.OVERLOADED, message, retry_after_s=held * self.request_s)
        super().add(item, is_long=is_long, is_partial=is_partial, client_id=client_id)


class _ClientTurns(Generic[T]):
    """One queue for each client. The first client is served next, and then moves to the end."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[T]] = {}
        """By client id. No queue is empty."""

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def __bool__(self) -> bool:
        return bool(self._queues)

    def __iter__(self) -> Iterator[T]:
        for turn in range(max(map(len, self._queues.values()), default=0)):
            yield from (queue[turn] for queue in self._queues.values() if turn < len(queue))

    def add(self, item: T, client_id: str) -> None:
        self._queues.setdefault(client_id, deque()).append(item)

    def take(self) -> T:
        client_id = next(iter(self._queues))
        queue = self._queues.pop(client_id)
        item = queue.popleft()
        if queue:
            self._queues[client_id] = queue
        return item

    def remove(self, item: T) -> None:
        for client_id, queue in self._queues.items():
            if item in queue:
                queue.remove(item)
                if not queue:
                    del self._queues[client_id]
                return

"""What holds for the bounded queue in whatever order requests are added, taken, put back and cancelled."""

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.fair_queue import MAX_PASSED, BoundedQueue

LIMIT = 30
Item = tuple[int, str, str]
"""Number, client and kind."""
KINDS = ("short", "partial", "long")


class Queue(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.queue: BoundedQueue[Item] = BoundedQueue(LIMIT)
        self.added = 0
        self.waiting: list[Item] = []
        self.put_back: list[Item] = []
        self.in_work: list[Item] = []
        self.finished: list[Item] = []
        self.cancelled: list[Item] = []
        self.passed = 0
        self.served_while_waiting: dict[tuple[str, str], Counter[str]] = {}
        """For each client with waiting requests of one kind: how often each other client was served meanwhile."""

    @rule(client=st.sampled_from("abc"), kind=st.sampled_from(KINDS), count=st.integers(1, 12))
    def add(self, client: str, kind: str, count: int) -> None:
        for _ in range(count):
            item = (self.added, client, kind)
            if len(self.waiting) + len(self.put_back) + len(self.in_work) >= LIMIT:
                with pytest.raises(ServiceError) as refused:
                    self.add_one(item)
                assert refused.value.code is ErrorCode.OVERLOADED
                assert refused.value.retry_after_s == LIMIT * self.queue.request_s
                return
            self.add_one(item)
            self.added += 1
            self.waiting.append(item)
            self.served_while_waiting.setdefault((client, kind), Counter())

    def add_one(self, item: Item) -> None:
        _, client, kind = item
        self.queue.add(item, is_long=kind == "long", is_partial=kind == "partial", client_id=client)

    @rule(count=st.integers(1, 12))
    def take(self, count: int) -> None:
        for _ in range(count):
            self.take_one()

    def take_one(self) -> None:
        item = self.queue.take()
        if item is None:
            assert not self.waiting
            assert not self.put_back
            return
        self.begin(item)
        if self.put_back:
            assert item == self.put_back.pop()
            return
        _, client, kind = item
        assert item == min(each for each in self.waiting if each[1:] == (client, kind)), "a client's order"
        if kind == "long":
            self.passed = 0
        elif any(each[2] == "long" for each in self.waiting):
            self.passed += 1
            assert self.passed <= MAX_PASSED
        if kind == "partial":
            assert not any(each[2] == "short" for each in self.waiting)
        self.waiting.remove(item)
        self.count_turn(client, kind)

    def begin(self, item: Item) -> None:
        self.in_work.append(item)
        self.queue.in_work += 1

    def count_turn(self, client: str, kind: str) -> None:
        for (other, its_kind), served in self.served_while_waiting.items():
            if its_kind == kind and other != client:
                served[client] += 1
                assert served[client] == 1, f"{client} was served twice while {other} waited"
        self.served_while_waiting[client, kind] = Counter()
        self.forget_clients_without_requests()

    def forget_clients_without_requests(self) -> None:
        waiting = {each[1:] for each in self.waiting}
        self.served_while_waiting = {key: each for key, each in self.served_while_waiting.items() if key in waiting}
        if not any(kind == "long" for _, kind in waiting):
            self.passed = 0

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(self.waiting))
        self.queue.remove(item)
        self.waiting.remove(item)
        self.cancelled.append(item)
        self.forget_clients_without_requests()

    @precondition(lambda self: self.in_work)
    @rule(data=st.data())
    def cancel_in_work(self, data: st.DataObject) -> None:
        self.queue.remove(data.draw(st.sampled_from(self.in_work)))

    @precondition(lambda self: self.in_work)
    @rule()
    def run_again(self) -> None:
        item = self.in_work.pop()
        self.queue.in_work -= 1
        self.queue.put_back(item)
        self.put_back.append(item)

    @precondition(lambda self: self.in_work)
    @rule(request_s=st.floats(0.01, 100))
    def finish(self, request_s: float) -> None:
        self.finished.append(self.in_work.pop())
        self.queue.in_work -= 1
        self.queue.request_s = request_s

    @invariant()
    def no_request_is_lost_or_kept_twice(self) -> None:
        assert sorted(self.queue) == sorted(self.waiting + self.put_back)
        assert len(self.queue) == len(self.waiting) + len(self.put_back)
        everywhere = self.waiting + self.put_back + self.in_work + self.finished + self.cancelled
        assert sorted(number for number, _, _ in everywhere) == list(range(self.added))

    def teardown(self) -> None:
        """Whatever happened before, every request that still waits is taken."""
        order = list(self.queue)
        taken = []
        while (item := self.queue.take()) is not None:
            taken.append(item)
        assert sorted(taken) == sorted(order)
        for kind in KINDS:
            waited = [each for each in order[len(self.put_back) :] if each[2] == kind]
            assert [each for each in taken[len(self.put_back) :] if each[2] == kind] == waited


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=100, stateful_step_count=40, deadline=None, database=None)

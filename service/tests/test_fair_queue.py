import pytest
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.fair_queue import MAX_PASSED, BoundedQueue, FairQueue


def taken(queue: FairQueue[str]) -> list[str]:
    return [item for _ in range(len(queue)) if (item := queue.take()) is not None]


def test_short_requests_go_before_long_ones_and_otherwise_in_the_order_in_which_they_came():
    queue: FairQueue[str] = FairQueue()
    for name, is_long in (("long 1", True), ("short 1", False), ("long 2", True), ("short 2", False)):
        queue.add(name, is_long=is_long)

    assert taken(queue) == ["short 1", "short 2", "long 1", "long 2"]
    assert queue.take() is None


def test_partial_requests_go_after_short_ones_and_before_long_ones():
    queue: FairQueue[str] = FairQueue()
    queue.add("long", is_long=True)
    queue.add("partial", is_long=False, is_partial=True)
    queue.add("short", is_long=False)

    assert taken(queue) == ["short", "partial", "long"]


def test_a_long_request_has_its_turn_however_many_short_ones_wait():
    queue: FairQueue[str] = FairQueue()
    queue.add("long", is_long=True)
    for number in range(3 * MAX_PASSED):
        queue.add(f"short {number}", is_long=False)

    assert taken(queue).index("long") == MAX_PASSED


def test_a_request_that_was_put_back_goes_first():
    queue: FairQueue[str] = FairQueue()
    queue.add("short", is_long=False)
    queue.put_back("begun")

    assert taken(queue) == ["begun", "short"]


def test_clients_take_turns():
    queue: FairQueue[str] = FairQueue()
    for item in ("a1", "a2", "a3", "b1", "c1", "b2"):
        queue.add(item, is_long=False, client_id=item[0])

    assert list(queue) == ["a1", "b1", "c1", "a2", "b2", "a3"]
    assert taken(queue) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_the_next_short_request_can_be_taken_even_if_a_long_one_waits():
    queue: FairQueue[str] = FairQueue()
    queue.add("long", is_long=True)
    queue.add("short", is_long=False)

    assert [queue.take_short(), queue.take_short(), queue.take()] == ["short", None, "long"]


def test_a_short_request_that_is_taken_early_counts_as_having_passed_the_long_one():
    queue: FairQueue[str] = FairQueue()
    queue.add("long", is_long=True)
    for number in range(3 * MAX_PASSED):
        queue.add(f"short {number}", is_long=False)
    for number in range(MAX_PASSED):
        queue.take_early(f"short {MAX_PASSED + number}")

    assert queue.take() == "long"


def test_a_full_queue_refuses_with_the_time_that_its_requests_will_take():
    queue: BoundedQueue[str] = BoundedQueue(3)
    queue.request_s = 4.0
    queue.in_work = 1
    for item in ("first", "second"):
        queue.add(item, is_long=False)
    with pytest.raises(ServiceError) as caught:
        queue.add("third", is_long=False)

    assert (caught.value.code, caught.value.retry_after_s) == (ErrorCode.OVERLOADED, 12.0)
    queue.remove("first")
    queue.add("third", is_long=False)
    assert taken(queue) == ["second", "third"]

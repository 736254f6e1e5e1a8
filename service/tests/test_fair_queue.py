from rapl_service.fair_queue import MAX_PASSED, FairQueue


def taken(lanes: FairQueue[str]) -> list[str]:
    return [item for _ in range(len(lanes)) if (item := lanes.take()) is not None]


def test_what_is_short_goes_before_what_is_long_and_else_what_came_first():
    lanes: FairQueue[str] = FairQueue()
    for name, is_long in (("long 1", True), ("short 1", False), ("long 2", True), ("short 2", False)):
        lanes.add(name, is_long=is_long)

    assert taken(lanes) == ["short 1", "short 2", "long 1", "long 2"]
    assert lanes.take() is None


def test_what_is_long_has_its_turn_however_much_is_short():
    lanes: FairQueue[str] = FairQueue()
    lanes.add("long", is_long=True)
    for number in range(3 * MAX_PASSED):
        lanes.add(f"short {number}", is_long=False)

    assert taken(lanes).index("long") == MAX_PASSED


def test_what_was_begun_already_goes_first():
    lanes: FairQueue[str] = FairQueue()
    lanes.add("short", is_long=False)
    lanes.put_back("begun")

    assert taken(lanes) == ["begun", "short"]


def test_those_who_ask_take_turns_within_a_lane():
    lanes = FairQueue()
    for item in ("a1", "a2", "a3", "b1", "c1", "b2"):
        lanes.add(item, is_long=False, client_id=item[0])

    assert [lanes.take() for _ in range(6)] == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_the_next_short_one_can_be_taken_whoever_waits_in_the_long_lane():
    lanes = FairQueue()
    lanes.add("long", is_long=True)
    lanes.add("short", is_long=False)

    assert [lanes.take_short(), lanes.take_short(), lanes.take()] == ["short", None, "long"]

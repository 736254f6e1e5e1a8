from rapl_protocol.lanes import MAX_PASSED, Lanes


def taken(lanes: Lanes[str]) -> list[str]:
    return [item for _ in range(len(lanes)) if (item := lanes.take()) is not None]


def test_what_is_short_goes_before_what_is_long_and_else_what_came_first():
    lanes: Lanes[str] = Lanes()
    for name, is_long in (("long 1", True), ("short 1", False), ("long 2", True), ("short 2", False)):
        lanes.add(name, is_long=is_long)

    assert taken(lanes) == ["short 1", "short 2", "long 1", "long 2"]
    assert lanes.take() is None


def test_what_is_long_has_its_turn_however_much_is_short():
    lanes: Lanes[str] = Lanes()
    lanes.add("long", is_long=True)
    for number in range(3 * MAX_PASSED):
        lanes.add(f"short {number}", is_long=False)

    assert taken(lanes).index("long") == MAX_PASSED


def test_what_was_begun_already_goes_first():
    lanes: Lanes[str] = Lanes()
    lanes.add("short", is_long=False)
    lanes.put_back("begun")

    assert taken(lanes) == ["begun", "short"]

"""A few of the sequences of `tests/fuzz_realtime.py`, always the same."""

import fuzz_realtime
import pytest


def run_all(seeds: range) -> None:
    for seed in seeds:
        fuzz_realtime.run(seed)


@pytest.mark.parametrize("first", range(0, 500, 100))
def test_random_sequences_of_events_keep_the_promises_of_a_session(first):
    run_all(range(first, first + 100))


def test_a_broken_promise_is_found(monkeypatch):
    monkeypatch.setattr("rapl_gateway.realtime.rules.input_buffer.InputBuffer._make_item", lambda *_: None)

    with pytest.raises(AssertionError):
        run_all(range(100))

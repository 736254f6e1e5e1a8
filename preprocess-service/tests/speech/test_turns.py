"""Turns alternate and are in order for any probabilities of the detector and any options."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapl_preprocess.speech.runs import MIN_SPEECH
from rapl_preprocess.speech.silero_network import FRAME_SAMPLES
from rapl_preprocess.speech.turns import Turns, TurnsState
from rapl_protocol.live_audio import SpeechStarted, SpeechStopped, TurnDetection, TurnEvent

SECOND = 16_000
DEFAULT = TurnDetection()


def frames(*parts: tuple[float, float]) -> list[float]:
    """Probabilities from (probability, seconds); a part has a whole number of frames."""
    return [probability for probability, seconds in parts for _ in range(round(seconds * SECOND / FRAME_SAMPLES))]


def events(probabilities: Iterable[float], detection: TurnDetection = DEFAULT) -> list[TurnEvent]:
    return list(Turns(detection).feed(probabilities))


detections = st.builds(
    TurnDetection,
    threshold=st.floats(0, 1),
    prefix_padding_ms=st.sampled_from([0, 100, 300, 2_000]),
    silence_duration_ms=st.sampled_from([0, 96, 200, 500, 1_000]),
)
stretches = st.tuples(st.sampled_from([0.0, 0.3, 0.4, 0.5, 0.9, 1.0]), st.integers(1, 40))
sounds = st.lists(stretches, max_size=30).map(lambda parts: [p for p, count in parts for _ in range(count)])


@given(sounds, detections)
def test_beginnings_and_ends_alternate_and_are_in_order(probabilities: list[float], detection: TurnDetection):
    found = events(probabilities, detection)

    assert [type(event) for event in found] == [SpeechStarted, SpeechStopped] * (len(found) // 2) + [SpeechStarted] * (
        len(found) % 2
    )
    positions = [event.at_sample for event in found]
    assert positions == sorted(positions)
    assert all(0 <= position <= len(probabilities) * FRAME_SAMPLES for position in positions)


@given(sounds, detections)
def test_no_event_names_a_position_that_has_not_been_judged(probabilities: list[float], detection: TurnDetection):
    turns = Turns(detection)
    for judged, probability in enumerate(probabilities, 1):
        for event in turns.feed([probability]):
            assert event.at_sample <= judged * FRAME_SAMPLES


@given(sounds, sounds, detections)
def test_a_resumed_state_goes_on_as_if_nothing_had_happened(
    before: list[float], after: list[float], detection: TurnDetection
):
    turns = Turns(detection)
    list(turns.feed(before))
    resumed = Turns.resumed(detection, TurnsState.model_validate_json(turns.state().model_dump_json()))

    assert list(resumed.feed(after)) == list(turns.feed(after))
    assert resumed.finish() == turns.finish()


def test_a_turn_begins_with_its_padding_and_ends_with_as_much():
    [started, stopped] = events(frames((0, 3.2), (1, 3.2), (0, 3.2)))

    assert started == SpeechStarted(at_sample=round(3.2 * SECOND) - 300 * 16)
    assert stopped == SpeechStopped(at_sample=round(6.4 * SECOND) + 300 * 16)


def test_the_padding_never_reaches_into_the_turn_before():
    [_, stopped, started, _] = events(
        frames((1, 0.64), (0, 0.64), (1, 0.64), (0, 3.2)), TurnDetection(prefix_padding_ms=2_000)
    )

    assert started.at_sample == stopped.at_sample


def test_a_burst_shorter_than_an_utterance_begins_no_turn_however_often_it_comes():
    burst = (1, MIN_SPEECH / SECOND - FRAME_SAMPLES / SECOND)

    assert events(frames(*[burst, (0, 0.64)] * 20)) == []


def test_a_pause_that_is_shorter_than_the_silence_ends_no_turn():
    with_pause = frames((1, 0.64), (0, 0.48), (1, 0.64), (0, 3.2))

    assert len(events(with_pause)) == 2
    assert len(events(with_pause, TurnDetection(silence_duration_ms=200))) == 4


def test_a_turn_goes_on_while_the_probability_is_a_little_below_the_threshold():
    assert len(events(frames((1, 0.64), (0.4, 3.2)))) == 1
    assert len(events(frames((1, 0.64), (0.3, 3.2)))) == 2


def test_a_change_of_the_options_keeps_the_open_turn():
    turns = Turns(DEFAULT)
    [started] = turns.feed(frames((1, 1.6)))
    turns.configure(TurnDetection(threshold=0.9, silence_duration_ms=200))
    [stopped] = turns.feed(frames((0, 0.32)))

    assert isinstance(started, SpeechStarted)
    assert isinstance(stopped, SpeechStopped)


def test_an_open_turn_remembers_one_run_however_many_pauses_it_had():
    turns = Turns(DEFAULT)
    list(turns.feed(frames(*[(1, 0.64), (0, 0.32)] * 1_000)))

    assert len(turns.state().runs) == 1


@pytest.mark.parametrize("runs", [(), ((0, 1),) * 1_001])
def test_an_impossible_state_is_refused(runs: tuple[tuple[int, int], ...]):
    with pytest.raises(ValueError, match="not possible"):
        Turns.resumed(DEFAULT, TurnsState(position=0, last_end=0, is_open=True, runs=runs))

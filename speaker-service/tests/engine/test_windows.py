"""Speech becomes windows of ten seconds, whose times are still known in the recording."""

import numpy as np
import pytest
from rapl_protocol.testing import make_tone
from rapl_speakers.engine.windows import LONGEST_GAP_S, RATE_HZ, Window, Windows


def windows_of(*parts: tuple[float, float]) -> list[Window]:
    """Windows of parts, each a start and a duration in seconds."""
    windows = Windows()
    found = [window for start_s, duration_s in parts for window in windows.add(start_s, make_tone(duration_s).pcm)]
    return [*found, *windows.rest()]


def seconds(window: Window) -> float:
    return len(window.samples) / RATE_HZ


def test_a_recording_without_speech_has_no_window():
    assert windows_of() == []


def test_long_speech_is_cut_at_ten_seconds_and_nothing_is_lost():
    found = windows_of((3.0, 25.0))

    assert [seconds(each) for each in found] == [10, 10, 5]
    assert [each.parts[0].in_recording_s for each in found] == [3, 13, 23]


def test_parts_share_a_window_with_a_short_silence_between_them():
    [window] = windows_of((0.0, 2.0), (60.0, 3.0))

    assert seconds(window) == pytest.approx(5 + LONGEST_GAP_S)
    assert not window.samples[2 * RATE_HZ : int(2.5 * RATE_HZ)].any()
    assert list(window.in_recording(0.5, 1.5)) == [(0.5, 1.5)]
    assert list(window.in_recording(1.0, 2.5 + LONGEST_GAP_S)) == [(1, 2), (60, 60.5)]
    assert list(window.in_recording(2.0, 2.0 + LONGEST_GAP_S)) == []


def test_parts_that_follow_each_other_have_no_silence_between_them():
    [window] = windows_of((0.0, 2.0), (2.0, 2.0))

    assert seconds(window) == 4
    assert list(window.in_recording(3.0, 4.0)) == [(3, 4)]


def test_audio_that_was_sent_before_is_used_once():
    [window] = windows_of((0.0, 2.0), (1.5, 2.0))

    assert seconds(window) == 3.5
    [(_, end_s)] = window.in_recording(3.0, 3.4)
    assert end_s == pytest.approx(3.4)


def test_a_part_that_was_sent_before_adds_nothing():
    [window] = windows_of((0.0, 2.0), (0.5, 1.0), (2.0, 1.0))

    assert seconds(window) == 3


def test_samples_are_between_minus_one_and_one():
    windows = Windows()
    list(windows.add(0.0, np.array([-32768, 0, 16384], "<i2").tobytes()))

    [window] = windows.rest()

    assert window.samples.tolist() == [-1, 0, 0.5]

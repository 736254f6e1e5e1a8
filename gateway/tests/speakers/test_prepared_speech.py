"""What of a recording speaker-service gets, and where the audio is cut for engines without the times of words."""

from collections.abc import AsyncGenerator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapl_gateway.speakers.prepared_speech import cut_where_speakers_change, speech_of, with_known_speech
from rapl_gateway.speakers.timeline import SpeakerTimeline
from rapl_protocol.intervals import Interval
from rapl_protocol.prepared import PreparedEvent, PrepareEnd, SpeechSegment
from rapl_protocol.speakers import SpeakerTurn
from rapl_protocol.testing import make_tone

TEN_S = make_tone(10)
END = PrepareEnd(duration_s=30.0)


def turns(*times: tuple[float, float, int]) -> SpeakerTimeline:
    return SpeakerTimeline([SpeakerTurn(start_s=start, end_s=end, speaker=who) for start, end, who in times])


def segment(start_s: float, *speech: tuple[float, float]) -> SpeechSegment:
    return SpeechSegment(start_s, start_s + 10, TEN_S, tuple(Interval(*part) for part in speech) or None)


async def events(*given: PreparedEvent) -> AsyncGenerator[PreparedEvent, None]:
    for event in given:
        yield event


async def cut(timeline: SpeakerTimeline, *given: PreparedEvent) -> list[tuple[float, float]]:
    found = [event async for event in cut_where_speakers_change(events(*given), timeline)]
    return [(each.start_s, each.end_s) for each in found if isinstance(each, SpeechSegment)]


def test_only_the_speech_of_a_segment_and_what_is_close_to_it_is_sent_with_its_times_in_the_recording():
    parts = list(speech_of(segment(20.0, (1.0, 3.0), (4.5, 10.0))))

    assert [(part.start_s, part.audio.duration_s) for part in parts] == [(20.75, 2.5), (24.25, 5.75)]
    assert bytes(parts[0].audio.pcm) == bytes(TEN_S.pcm[24_000:104_000])


def test_a_short_pause_does_not_divide_what_is_sent():
    parts = list(speech_of(segment(20.0, (1.0, 3.0), (3.4, 6.0))))

    assert [(part.start_s, part.audio.duration_s) for part in parts] == [(20.75, 5.5)]


def test_without_speech_detection_everything_is_sent():
    assert [(part.start_s, part.audio) for part in speech_of(segment(20.0))] == [(20.0, TEN_S)]


async def test_speech_that_is_found_at_the_end_is_used():
    late = PrepareEnd(duration_s=10.0, speech=(Interval(1.0, 2.0),))

    first, second = [event async for event in with_known_speech(events(segment(0.0), late))]

    assert isinstance(first, SpeechSegment)
    assert (first.speech, second) == (late.speech, late)


async def test_segments_of_unknown_speech_keep_their_order():
    given = [segment(0.0), segment(10.0), END]

    assert [event async for event in with_known_speech(events(*given))] == given


@pytest.mark.parametrize(
    ("timeline", "pieces"),
    [
        (turns(), [(20.0, 30.0)]),
        (turns((20, 30, 0)), [(20.0, 30.0)]),
        (turns((20, 24, 0), (26, 30, 1)), [(20.0, 25.0), (25.0, 30.0)]),
        (turns((20, 26, 0), (24, 30, 1)), [(20.0, 25.0), (25.0, 30.0)]),
        (turns((20, 24, 0), (24, 24.3, 1), (24.3, 30, 0)), [(20.0, 30.0)]),
        (turns((20, 30, 0), (24, 25, 1)), [(20.0, 30.0)]),
        (turns((0, 19, 1), (19, 30, 0)), [(20.0, 30.0)]),
        (turns((20, 23, 0), (23, 26, 1), (26, 30, 0)), [(20.0, 23.0), (23.0, 26.0), (26.0, 30.0)]),
    ],
    ids=["no turns", "one", "a pause between two", "two at once", "a short call", "a call at once", "before", "three"],
)
async def test_a_segment_is_cut_between_two_speakers(timeline: SpeakerTimeline, pieces: list[tuple[float, float]]):
    assert await cut(timeline, segment(20.0, (0.0, 10.0)), END) == pieces


async def test_a_piece_without_speech_is_left_out_and_the_others_have_their_own():
    found = [
        event
        async for event in cut_where_speakers_change(
            events(segment(0.0, (5.0, 6.0), (7.0, 10.0))), turns((0, 3, 0), (3, 6.5, 1), (6.5, 10, 0))
        )
        if isinstance(event, SpeechSegment)
    ]

    assert [(each.start_s, each.speech) for each in found] == [
        (3.0, (Interval(2.0, 3.0),)),
        (6.5, (Interval(0.5, 3.5),)),
    ]


_TIME = st.floats(0, 30)


@given(times=st.lists(st.tuples(_TIME, st.floats(0, 8), st.integers(0, 3)), max_size=10))
def test_the_pieces_are_in_order_and_each_is_long_enough_to_have_words(times: list[tuple[float, float, int]]):
    timeline = turns(*sorted((start, start + length, who) for start, length, who in times))

    changes = timeline.changes_s(Interval(5.0, 25.0))

    edges = [5.0, *changes, 25.0]
    assert edges == sorted(edges)
    assert all(end - start > 0.49 for start, end in pairwise(edges))

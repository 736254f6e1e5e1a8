"""The speech of a recording, as speaker-service and the engines get it."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import replace
from itertools import pairwise

from rapl_protocol.audio import SAMPLE_RATE_HZ, SAMPLE_WIDTH_BYTES, WavAudio
from rapl_protocol.intervals import Interval, merged
from rapl_protocol.prepared import PreparedEvent, PrepareEnd, SpeechSegment
from rapl_protocol.speakers import RecordedSpeech

from rapl_gateway.speakers.timeline import SpeakerTimeline
from rapl_gateway.transcription.recut import piece_of

_PADDING_S = 0.25
"""Seconds around the speech that speaker-service gets too; what overlaps then is one part. Voices are recognized better
with it: of 103 s of one person's speech in six recordings, 92 s had the right speaker; 77 s without, and 88 s if all of
the audio was sent."""

Events = AsyncGenerator[PreparedEvent, None]


async def with_known_speech(events: Events) -> Events:
    """Yields the same events. A segment whose speech is found after it was sent comes with its speech."""
    waiting: SpeechSegment | None = None
    async with aclosing(events):
        async for event in events:
            if waiting:
                late = event.speech if isinstance(event, PrepareEnd) else None
                yield waiting if late is None else replace(waiting, speech=late)
                waiting = None
            if isinstance(event, SpeechSegment) and event.speech is None:
                waiting = event
            else:
                yield event
    if waiting:
        yield waiting


async def cut_where_speakers_change(events: Events, timeline: SpeakerTimeline) -> Events:
    """Yields the same events, with the segments cut so that one person speaks for most of each piece."""
    async with aclosing(with_known_speech(events)) as known:
        async for event in known:
            if isinstance(event, SpeechSegment):
                for piece in _pieces(event, timeline):
                    yield piece
            else:
                yield event


def _pieces(segment: SpeechSegment, timeline: SpeakerTimeline) -> Iterator[SpeechSegment]:
    """Yields the pieces of a segment that have speech. Their times count from the start of the source."""
    start_s, duration_s = segment.start_s, segment.audio.duration_s
    changes_s = timeline.changes_s(Interval(start_s, start_s + duration_s))
    if not changes_s:
        yield segment
        return
    for begin_s, end_s in pairwise([0.0, *(at_s - start_s for at_s in changes_s), duration_s]):
        piece = piece_of(segment, begin_s, end_s)
        if piece.speech != ():
            yield replace(piece, start_s=start_s + begin_s, end_s=start_s + end_s)


def speech_of(segment: SpeechSegment) -> Iterator[RecordedSpeech]:
    """Yields the parts of a segment with speech, and what is close to it; all of it if speech detection did not run."""
    if segment.speech is None:
        yield RecordedSpeech(segment.start_s, segment.audio)
        return
    duration_s = segment.audio.duration_s
    for part in merged(
        Interval(max(0.0, start_s - _PADDING_S), min(duration_s, end_s + _PADDING_S))
        for start_s, end_s in segment.speech
    ):
        if pcm := _samples(segment.audio, part):
            yield RecordedSpeech(segment.start_s + part.start_s, WavAudio(pcm))


def _samples(audio: WavAudio, part: Interval) -> bytes | memoryview:
    start, end = (round(at_s * SAMPLE_RATE_HZ) * SAMPLE_WIDTH_BYTES for at_s in part)
    return audio.pcm[start:end]

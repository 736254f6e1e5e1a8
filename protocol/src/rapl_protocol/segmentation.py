"""Cuts audio into segments of limited length, each time at the quietest point near the limit."""

import sys
from array import array
from collections.abc import Callable, Iterator

from rapl_protocol.audio import BYTES_PER_SECOND, SAMPLE_RATE_HZ, SAMPLE_WIDTH_BYTES, WavAudio
from rapl_protocol.prepared import MAX_SEGMENT_S, SpeechSegment

SEARCH_S = 5.0
"""Seconds before the limit in which a quiet point may lie."""
QUIET_FRAME_SAMPLES = SAMPLE_RATE_HZ // 50
PAUSE_FRAMES = 5
"""A pause between words is about a tenth of a second or more; one quiet 20 ms frame may be a stop consonant."""


class Segmenter:
    """Splits PCM, which arrives in pieces, into segments without gaps between them.

    It holds at most one segment and the last piece. Audio of up to `longest_s` is one segment.

    Args:
        longest_s: longest segment, in seconds.
        search_s: seconds before the limit in which the quiet point may lie.
        quietest: returns the byte offset of that point; by default `quietest_point`.
    """

    def __init__(
        self,
        longest_s: float = MAX_SEGMENT_S,
        search_s: float = SEARCH_S,
        quietest: Callable[[bytes], int] | None = None,
    ) -> None:
        self._quietest = quietest or quietest_point
        self._max_bytes = int(longest_s * SAMPLE_RATE_HZ) * SAMPLE_WIDTH_BYTES
        self._search_bytes = int(search_s * SAMPLE_RATE_HZ) * SAMPLE_WIDTH_BYTES
        self._pending = bytearray()
        self._start_bytes = 0

    @property
    def duration_s(self) -> float:
        """Seconds of audio fed so far."""
        return (self._start_bytes + len(self._pending)) / BYTES_PER_SECOND

    @property
    def speech_s(self) -> None:
        """None: speech detection did not run."""
        return None

    @property
    def late_speech(self) -> None:
        """None: speech detection did not run."""
        return None

    def feed(self, pcm: bytes | memoryview) -> Iterator[SpeechSegment]:
        """Adds 16 kHz mono s16le samples, and yields the segments that are now complete."""
        self._pending += pcm
        while len(self._pending) > self._max_bytes:
            search_from = self._max_bytes - self._search_bytes
            with memoryview(self._pending) as pending:
                window = bytes(pending[search_from : self._max_bytes])
            yield self._cut(search_from + self._quietest(window))

    def finish(self) -> Iterator[SpeechSegment]:
        """Yields the remaining audio as the last segment, if there is any."""
        if self._pending:
            yield self._cut(len(self._pending))

    def _cut(self, size: int) -> SpeechSegment:
        pcm = bytes(self._pending[:size])
        del self._pending[:size]
        start, self._start_bytes = self._start_bytes, self._start_bytes + size
        return SpeechSegment(start / BYTES_PER_SECOND, self._start_bytes / BYTES_PER_SECOND, WavAudio(pcm))


def quietest_point(pcm: bytes) -> int:
    """The byte offset of the middle of the quietest tenth of a second; the last one if several are equally quiet.

    Args:
        pcm: 16 kHz mono s16le, at least a tenth of a second.
    """
    samples = array("h", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    frames = range(0, len(samples) - QUIET_FRAME_SAMPLES + 1, QUIET_FRAME_SAMPLES)
    loudness = [sum(map(abs, samples[i : i + QUIET_FRAME_SAMPLES])) for i in frames]
    pauses = [sum(loudness[i : i + PAUSE_FRAMES]) for i in range(len(loudness) - PAUSE_FRAMES + 1)]
    quietest = max(range(len(pauses)), key=lambda i: (-pauses[i], i))
    return (quietest * QUIET_FRAME_SAMPLES + PAUSE_FRAMES * QUIET_FRAME_SAMPLES // 2) * SAMPLE_WIDTH_BYTES

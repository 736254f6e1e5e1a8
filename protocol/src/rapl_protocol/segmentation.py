"""Cuts audio that is longer than a segment may be, each time at the quietest point near the limit."""

import sys
from array import array
from collections.abc import Callable, Iterator

from rapl_protocol.audio import BYTES_PER_SECOND, SAMPLE_RATE_HZ, SAMPLE_WIDTH_BYTES, WavAudio
from rapl_protocol.prepared import MAX_SEGMENT_S, SpeechSegment

SEARCH_S = 5.0
"""How far before the limit a quiet point may lie."""
QUIET_FRAME_SAMPLES = SAMPLE_RATE_HZ // 50
PAUSE_FRAMES = 5
"""A pause between words is about a tenth of a second or more; one quiet 20 ms frame may be a stop consonant."""


class Segmenter:
    """Takes PCM as it comes and gives back segments that lie end to end.

    It holds at most one segment and what was fed last. Audio of up to `longest_s` is one segment, untouched.

    Args:
        longest_s: no segment is longer.
        search_s: how far before that a quiet point may lie.
        quietest: finds it, as `quietest_point` does.
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
        """Of all the audio that was fed."""
        return (self._start_bytes + len(self._pending)) / BYTES_PER_SECOND

    @property
    def speech_s(self) -> None:
        """Nothing was judged."""
        return None

    def feed(self, pcm: bytes | memoryview) -> Iterator[SpeechSegment]:
        """Adds 16 kHz mono s16le samples, and yields the segments that are complete with them."""
        self._pending += pcm
        while len(self._pending) > self._max_bytes:
            search_from = self._max_bytes - self._search_bytes
            with memoryview(self._pending) as pending:
                window = bytes(pending[search_from : self._max_bytes])
            yield self._cut(search_from + self._quietest(window))

    def finish(self) -> Iterator[SpeechSegment]:
        """Yields what is left, if anything is."""
        if self._pending:
            yield self._cut(len(self._pending))

    def _cut(self, size: int) -> SpeechSegment:
        pcm = bytes(self._pending[:size])
        del self._pending[:size]
        start, self._start_bytes = self._start_bytes, self._start_bytes + size
        return SpeechSegment(start / BYTES_PER_SECOND, self._start_bytes / BYTES_PER_SECOND, WavAudio(pcm))


def quietest_point(pcm: bytes) -> int:
    """The byte offset of the middle of the quietest tenth of a second; the last of equals, for the longest segment.

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

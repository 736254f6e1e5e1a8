"""The tracks of an mp4 file: what each is, its clock, which part of it sounds, and its packets.

Source: ISO/IEC 14496-12, 8.2 to 8.6.
"""

from dataclasses import dataclass
from typing import Self

from rapl_preprocess.media.containers import Media
from rapl_preprocess.media.mp4_boxes import Box, Unusual, boxes, children, descendant, numbers, table
from rapl_preprocess.media.mp4_samples import SampleTable

_FRAGMENTS = (b"moof", b"mfra", b"sidx")
_EMPTY = -1
"""The media time of an edit that is a pause."""
_NORMAL_RATE = 1 << 16


@dataclass(frozen=True, slots=True)
class Edit:
    """The one part of a track that sounds, in the track's units; there may be a pause before it."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Mp4Track:
    media: Media
    trak: Box
    movie_hz: int
    """Of the clock in which edits have their lengths."""

    @property
    def is_audio(self) -> bool:
        """By the box that FFmpeg's libraries go by."""
        return numbers(self.media, descendant(self.media, self.trak, b"mdia", b"hdlr"), ">4s", 8) == (b"soun",)

    @property
    def clock_hz(self) -> int:
        return _clock_hz(self.media, descendant(self.media, self.trak, b"mdia", b"mdhd"))

    @property
    def entry(self) -> bytes:
        """What its only sample description is called.

        Raises:
            Unusual: there is none, or more than one.
        """
        stsd = descendant(self.media, self.trak, b"mdia", b"minf", b"stbl", b"stsd")
        count, _, kind = numbers(self.media, stsd, ">II4s", 4)
        if count != 1:
            raise Unusual
        return kind

    def samples(self) -> SampleTable:
        """Raises Unusual where they are not stored in the plain way."""
        return SampleTable.of(self.media, descendant(self.media, self.trak, b"mdia", b"minf", b"stbl"))

    def edit(self) -> Edit | None:
        """None where all of it sounds.

        Raises:
            Unusual: there are several, or one at another speed.
        """
        edts = children(self.media, self.trak).get(b"edts")
        elst = children(self.media, edts).get(b"elst") if edts else None
        if elst is None:
            return None
        is_wide = numbers(self.media, elst, ">B") == (1,)
        edits = table(self.media, elst, ">QqI" if is_wide else ">IiI")
        if edits.start + edits.rows * edits.form.size != elst.end or not 1 <= edits.rows <= 2:
            raise Unusual
        *pause, (duration, start, rate) = edits
        if any(time != _EMPTY for _, time, _ in pause) or start < 0 or rate != _NORMAL_RATE or duration >= 1 << 63:
            raise Unusual
        return Edit(start, start + _rescaled(duration, self.clock_hz, self.movie_hz))


@dataclass(frozen=True, slots=True)
class Movie:
    tracks: list[Mp4Track]

    @classmethod
    def of(cls, media: Media) -> Self:
        """Finds the tracks of a file that is not in fragments.

        Raises:
            Unusual: it is, or it is no such file.
        """
        top = list(boxes(media, 0, media.size))
        if sum(box.kind == b"moov" for box in top) != 1 or any(box.kind in _FRAGMENTS for box in top):
            raise Unusual
        moov = next(box for box in top if box.kind == b"moov")
        if b"mvex" in children(media, moov):
            raise Unusual
        movie_hz = _clock_hz(media, descendant(media, moov, b"mvhd"))
        traks = [box for box in boxes(media, moov.start, moov.end) if box.kind == b"trak"]
        return cls([Mp4Track(media, trak, movie_hz) for trak in traks])


def _clock_hz(media: Media, header: Box) -> int:
    """Of an `mvhd` or `mdhd` box, which have it at the same place."""
    is_wide = numbers(media, header, ">B") == (1,)
    [clock_hz] = numbers(media, header, ">i", 20 if is_wide else 12)
    if clock_hz <= 0:
        raise Unusual
    return clock_hz


def _rescaled(number: int, to_hz: int, from_hz: int) -> int:
    """As `av_rescale` does it: to the nearest, and up from the middle."""
    return (2 * number * to_hz + from_hz) // (2 * from_hz)

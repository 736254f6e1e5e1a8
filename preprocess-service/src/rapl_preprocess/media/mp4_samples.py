"""The sample table of one track of an mp4 file: where each packet lies and when it sounds.

Source: ISO/IEC 14496-12, 8.6.1 (times) and 8.7 (sizes, chunks and their places).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, chain, islice, repeat, takewhile
from typing import Self

from rapl_preprocess.media.containers import Media
from rapl_preprocess.media.mp4_boxes import Box, Table, Unusual, children, numbers, table

Patch = tuple[int, bytes]
"""Where in the file other bytes are to stand, and which."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One packet, as the table has it."""

    position: int
    size: int
    time: int
    """Of its start, without edits, in the track's own units."""
    duration: int


@dataclass(frozen=True, slots=True)
class SampleTable:
    """Of a track whose packets each have a size of their own; its parts agree on how many there are."""

    sizes: Table
    """Of each packet."""
    durations: Table
    """How many packets, of how long."""
    has_delays: bool
    """Packets are seen at another time than they are decoded, as in films."""
    chunks: Table
    """Where each run of packets lies."""
    chunk_sizes: Table
    """From which chunk on, counted from 1, how many packets are in one, and by which description."""

    @classmethod
    def of(cls, media: Media, stbl: Box) -> Self:
        """Reads what a `stbl` box says.

        Raises:
            Unusual: something is missing, contradicts itself or is not stored in the plain way.
        """
        found = children(media, stbl)
        if not {b"stsz", b"stts", b"stsc"} <= found.keys() or (b"stco" in found) == (b"co64" in found):
            raise Unusual
        if numbers(media, found[b"stsz"], ">I", 4) != (0,):
            raise Unusual
        places = table(media, found[b"stco"], ">I") if b"stco" in found else table(media, found[b"co64"], ">Q")
        read = cls(
            sizes=table(media, found[b"stsz"], ">I", 8),
            durations=table(media, found[b"stts"], ">II"),
            has_delays=b"ctts" in found,
            chunks=places,
            chunk_sizes=table(media, found[b"stsc"], ">III"),
        )
        read._require_agreement()
        return read

    def _require_agreement(self) -> None:
        if not self.sizes.rows == sum(count for count, _ in self.durations) == self._packets_in_chunks():
            raise Unusual

    def _packets_in_chunks(self) -> int:
        """Counted run by run: a number of 32 bits costs nothing here, however large."""
        packets, begin, each = 0, 0, 0
        for first, size, description in chain(self.chunk_sizes, [(self.chunks.rows + 1, 1, 1)]):
            if first <= begin or (not begin and first != 1) or not size or description != 1:
                raise Unusual
            packets += (first - begin) * each
            begin, each = first, size
        return packets

    def samples(self) -> Iterator[Sample]:
        sizes, time = iter(self.sizes), 0
        durations = chain.from_iterable(repeat(duration, count) for count, duration in self.durations)
        for position, count in self._chunk_places():
            for (size,), duration in zip(islice(sizes, count), durations, strict=False):
                yield Sample(position, size, time, duration)
                position += size
                time += duration

    def _chunk_places(self) -> Iterator[tuple[int, int]]:
        """Yields where each chunk lies and how many packets are in it."""
        runs = iter(self.chunk_sizes)
        (_, count, _), following = next(runs), next(runs, None)
        for number, (position,) in enumerate(self.chunks, 1):
            if following and following[0] == number:
                (_, count, _), following = following, next(runs, None)
            yield position, count

    def shortened(self, most: int) -> tuple[int, list[Patch]]:
        """How many packets there are in the first chunks that hold no more than `most`, and what makes them all.

        Where even the first chunk holds more it is shortened too. Tables stay where they are, with all their rows:
        only how many there are of them is told otherwise. Times are as they were, and so is what they add up to.
        """
        totals = accumulate(count for _, count in self._chunk_places())
        whole = list(takewhile(lambda total: total <= most, totals))
        packets, chunks = (whole[-1], len(whole)) if whole else (most, 1)
        runs = sum(1 for _ in takewhile(lambda run: run[0] <= chunks, self.chunk_sizes))
        patches = [_rows(self.sizes, packets), _rows(self.chunks, chunks), _rows(self.chunk_sizes, runs)]
        if not whole:
            patches.append((self.chunk_sizes.start + 4, packets.to_bytes(4, "big")))
        return packets, patches


def _rows(rows: Table, number: int) -> Patch:
    return rows.count_at, number.to_bytes(4, "big")

"""Decodes all parts of a file that was made of several files, one behind the other."""

from collections.abc import Callable, Iterator

from rapl_protocol.audio import BYTES_PER_SECOND, SAMPLE_RATE_HZ, SAMPLE_WIDTH_BYTES
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.prepared import Damage, MediaReport, SourceInfo

from rapl_preprocess.media.containers import Media
from rapl_preprocess.media.damage import DamageRecord
from rapl_preprocess.media.decoding import Decoded, decode
from rapl_preprocess.media.links import MAX_LINKS, links_of
from rapl_preprocess.media.streams import TrackChoice
from rapl_preprocess.media.track import MAX_SILENCE_S


def decode_all(
    media: Media, max_duration_s: float, is_stopped: Callable[[], bool], tracks: TrackChoice
) -> Iterator[Decoded]:
    """Yields what `decode` yields for each part of the file, as if it were one file.

    A part that cannot be decoded becomes damage, with silence of about its length.

    Raises:
        ServiceError: as `decode`; AUDIO_UNDECODABLE only if no part can be decoded.
    """
    links = links_of(media, is_stopped)
    if len(links) == 1:
        yield from decode(links[0], max_duration_s, is_stopped, tracks)
        return
    chain = _Chain()
    for number, link in enumerate(links):
        is_last = link is links[-1]
        try:
            if number < MAX_LINKS:
                parts = decode(link, max_duration_s, is_stopped, tracks)
                yield from chain.add(parts, link.size, is_last=is_last)
            else:
                yield from chain.skip(link.size)
        except ServiceError as error:
            if error.code is not ErrorCode.AUDIO_UNDECODABLE or (is_last and not chain.decoded_bytes):
                raise
            yield from chain.skip(link.size)
    yield chain.report()


class _Chain:
    """Joins what was decoded from the parts of a file."""

    def __init__(self) -> None:
        self.decoded_bytes = 0
        """Size of the PCM so far."""
        self._silence_s = 0.0
        self._file_bytes = 0
        """Size of the parts that were decoded."""
        self._has_source = False
        self._first_report: MediaReport | None = None
        self._damage = DamageRecord()

    def add(self, parts: Iterator[Decoded], file_bytes: int, *, is_last: bool) -> Iterator[Decoded]:
        start_s = self._position_s
        damage: tuple[Damage, ...] = ()
        for part in parts:
            match part:
                case SourceInfo():
                    if not self._has_source:
                        yield part.model_copy(update={"duration_s": None})  # the header has that of the first part
                    self._has_source = True
                case MediaReport():
                    self._first_report = self._first_report or part
                    damage = part.damage
                case pcm:
                    self.decoded_bytes += len(pcm)
                    yield pcm
        self._file_bytes += file_bytes
        if damage and not is_last:
            damage = (*damage[:-1], _ended(damage[-1]))
            yield from self._silence(start_s + (damage[-1].end_s or 0.0) - self._position_s)
        self._damage.extend(damage, start_s)

    def skip(self, file_bytes: int) -> Iterator[bytes]:
        """Yields silence for a part that cannot be decoded, as long as the other parts are for their size."""
        start_s = self._position_s
        if self._file_bytes:
            decoded_s = start_s - self._silence_s
            yield from self._silence(decoded_s * file_bytes / self._file_bytes)
        self._damage.add(start_s, self._position_s)

    def report(self) -> MediaReport:
        return (self._first_report or MediaReport()).model_copy(update={"damage": self._damage.places()})

    @property
    def _position_s(self) -> float:
        return self.decoded_bytes / BYTES_PER_SECOND

    def _silence(self, duration_s: float) -> Iterator[bytes]:
        duration_s = min(duration_s, MAX_SILENCE_S - self._silence_s)
        self._silence_s += max(0.0, duration_s)
        missing_bytes = SAMPLE_WIDTH_BYTES * round(duration_s * SAMPLE_RATE_HZ)
        while missing_bytes > 0:
            piece = bytes(min(BYTES_PER_SECOND, missing_bytes))
            missing_bytes -= len(piece)
            self.decoded_bytes += len(piece)
            yield piece


def _ended(damage: Damage) -> Damage:
    """Returns damage that does not last to the end of the file, because another part follows."""
    return damage if damage.end_s is not None else damage.model_copy(update={"end_s": damage.start_s})

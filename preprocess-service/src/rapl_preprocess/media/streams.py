"""Chooses which audio track of a file is decoded."""

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Discard, Disposition
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.prepared import AudioTrack, MediaReport

from rapl_preprocess.media.containers import DECODERS, undecodable

MAX_TRIED = 8
"""Most tracks of a file that are decoded to find one with speech. Each costs as much as a file of its own."""
_MAX_LANGUAGE_CHARS = 35
"""Longest language tag that is passed on. Source: https://www.rfc-editor.org/rfc/rfc5646#section-4.4.1"""
_BESIDE_THE_MAIN_SOUND = (
    Disposition.comment
    | Disposition.visual_impaired
    | Disposition.descriptions
    | Disposition.clean_effects
    | Disposition.karaoke
    | Disposition.non_diegetic
)


class TrackChoice:
    """The audio track of a file that is decoded, and the tracks that are tried after it.

    The tracks that the file marks as default come first, then the others, both in the order of the file. Commentary,
    audio description and music without voices come last, unless they are marked as default. Tracks with an unsupported
    codec are left out. The file is examined when it is opened to be decoded, and only then.

    Args:
        number: the only track to take, from 0; None: the first one, and after it the others.
    """

    def __init__(self, number: int | None = None) -> None:
        self._wanted = number
        self._tracks: list[AudioTrack] = []
        self._candidates: list[int] = []
        self._tried = 0

    @property
    def is_between_several(self) -> bool:
        """Whether several tracks may be tried. False before the file was opened."""
        return len(self._candidates) > 1

    def stream_of(self, container: InputContainer) -> AudioStream:
        """Returns the stream to decode. The packets of all other streams are discarded.

        Raises:
            ServiceError: AUDIO_UNDECODABLE if there is no audio or its codec is not supported; INVALID_REQUEST if the
                wanted track does not exist.
        """
        if not self._tracks:
            self._examine(container)
        if not container.streams.audio:
            raise undecodable("The file has no audio track.")
        # A later part of a joined file may have fewer tracks.
        stream = container.streams.audio[min(self._candidates[self._tried], len(container.streams.audio) - 1)]
        if not _is_supported(stream):
            raise undecodable("The file's audio codec is not supported.")
        stream.codec_context.thread_count = 1
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        return stream

    def go_on(self) -> bool:
        """Turns to the next track. Returns False if there is none."""
        if self._tried + 1 >= len(self._candidates):
            return False
        self._tried += 1
        return True

    def reported_in(self, report: MediaReport) -> MediaReport:
        """Returns the report with the current track and the others. Bare audio with one track has no track number."""
        if not self._tracks or (len(self._tracks) == 1 and self._wanted is None):
            return report
        current = self._candidates[self._tried]
        others = tuple(track for track in self._tracks if track.number != current)
        return report.model_copy(update={"audio_track": current, "other_tracks": others})

    def _examine(self, container: InputContainer) -> None:
        streams = container.streams.audio
        if not streams:
            raise undecodable("The file has no audio track.")
        if self._wanted is not None and self._wanted >= len(streams):
            count = "1 audio track" if len(streams) == 1 else f"{len(streams)} audio tracks"
            message = f"The file has {count}, counted from 0: there is no audio_track {self._wanted}."
            raise ServiceError(ErrorCode.INVALID_REQUEST, message, param="audio_track")
        self._tracks = [_description(number, stream) for number, stream in enumerate(streams)]
        if self._wanted is None:
            order = sorted(range(len(streams)), key=lambda number: _rank(streams[number]))
            self._candidates = [each for each in order if _is_supported(streams[each])][:MAX_TRIED] or order[:1]
        else:
            self._candidates = [self._wanted]


def _rank(stream: AudioStream) -> tuple[bool, bool]:
    disposition = Disposition(stream.disposition)
    return Disposition.default not in disposition, bool(disposition & _BESIDE_THE_MAIN_SOUND)


def _is_supported(stream: AudioStream) -> bool:
    return stream.codec_context is not None and stream.codec_context.name in DECODERS


def _description(number: int, stream: AudioStream) -> AudioTrack:
    return AudioTrack(
        number=number,
        codec=stream.codec_context.name if stream.codec_context is not None else None,
        language=stream.metadata.get("language", "")[:_MAX_LANGUAGE_CHARS] or None,
        is_default=Disposition.default in Disposition(stream.disposition),
    )

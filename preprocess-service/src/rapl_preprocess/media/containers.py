"""Opens media files. Only the content decides the format, and no file can open another file or a network address."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import av
from av.container import InputContainer
from av.error import FFmpegError
from rapl_protocol.errors import ErrorCode, ServiceError

BARE_STREAMS = ("mp3", "aac", "loas", "ac3", "eac3", "dts", "dtshd")
"""Formats that are a sequence of lossy packets without a file header."""
# Formats that contain their audio and are recognised by their first bytes. Left out on purpose: formats that name
# other files or addresses (hls, dash, concat, sdp, image2, imf, ...), pictures and subtitles, headerless PCM (any bytes
# would be accepted as PCM), and game and studio formats.
DEMUXERS = (
    *BARE_STREAMS,
    *("wav", "w64", "aiff", "caf", "au", "voc", "iff"),  # PCM, and what is stored like it
    *("amr", "flac", "ape", "wv", "tta", "tak", "dsf", "mpc", "mpc8"),  # one track, compressed
    *("ogg", "matroska", "mov", "asf", "flv", "avi", "mpegts", "mpeg"),  # containers; mov is also mp4, m4a and 3gp
)
# The codecs in these formats that people, phones, recorders and studios use. Game and disc codecs are left out.
DECODERS = (
    *("aac", "aac_latm", "alac", "als", "ape", "flac", "shorten", "tak", "tta", "wavpack"),
    *("mp1", "mp1float", "mp2", "mp2float", "mp3", "mp3float", "mp3adufloat", "mp3on4float", "mpc7", "mpc8"),
    *("ac3", "eac3", "dca", "mlp", "truehd", "opus", "libopus", "vorbis", "speex", "nellymoser"),
    *("wmav1", "wmav2", "wmapro", "wmalossless", "wmavoice", "xma1", "xma2"),
    *("amrnb", "amrwb", "libopencore_amrnb", "libopencore_amrwb", "evrc", "qcelp", "gsm", "gsm_ms", "ilbc"),
    *("g722", "g723_1", "g726", "g726le", "g729", "truespeech", "msnsiren", "siren"),
    *("qdm2", "qdmc", "mace3", "mace6", "atrac3", "atrac3plus", "8svx_exp", "8svx_fib"),
    *("adpcm_ms", "adpcm_ima_wav", "adpcm_ima_qt", "adpcm_yamaha", "adpcm_swf"),
    *(
        "adpcm_ct",
        "adpcm_sbpro_2",
        "adpcm_sbpro_3",
        "adpcm_sbpro_4",
        "adpcm_ima_oki",
        "adpcm_sanyo",
        "dvaudio",
        "s302m",
    ),
    *("dsd_lsbf", "dsd_lsbf_planar", "dsd_msbf", "dsd_msbf_planar"),
    *(f"pcm_{name}" for name in ["alaw", "mulaw", "vidc", "u8", "s8", "s8_planar", "bluray", "dvd", "f16le", "f24le"]),
    *(f"pcm_{kind}{bits}{order}" for kind in "su" for bits in (16, 24, 32) for order in ("le", "be")),
    *(f"pcm_{kind}{order}" for kind in ("f32", "f64") for order in ("le", "be")),
    *("pcm_s64le", "pcm_s64be", "pcm_s16le_planar", "pcm_s16be_planar", "pcm_s24le_planar", "pcm_s32le_planar"),
)
NOT_MEDIA = "The audio file could not be decoded or its format is not supported."
TOO_MUCH_MEMORY = "The audio file would take more memory to decode than this server allows."
MAX_STREAMS = 64
"""Most streams in a file. A film has a dozen or two. FFmpeg's libraries allow 1,000 by default, and probe each."""
_NO_PROTOCOL = "none"


class Media(Protocol):
    """A complete file that can be read at any position."""

    @property
    def size(self) -> int: ...

    def read(self, position: int, size: int) -> bytes:
        """Returns up to `size` bytes: fewer at the end of the file, none beyond it."""
        ...


class MediaInMemory:
    def __init__(self, content: bytes | bytearray | memoryview) -> None:
        self._content = memoryview(content)
        self.size = len(self._content)

    def read(self, position: int, size: int) -> bytes:
        return bytes(self._content[position : position + size])


class MediaOnDisk:
    """A file on disk, read piece by piece. It is not mapped, because mapped pages count as the process's memory."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    def read(self, position: int, size: int) -> bytes:
        return os.pread(self._descriptor, size, position)


class MediaPart:
    """A part of a file, as a file of its own.

    Args:
        media: the whole file.
        start: position of the part's first byte in it.
        end: position behind its last byte.
        prefix: bytes that are put in front of the part, such as another header.
    """

    def __init__(self, media: Media, start: int, end: int, prefix: bytes = b"") -> None:
        self._media, self._start, self._prefix = media, start, prefix
        self.size = len(prefix) + end - start

    def read(self, position: int, size: int) -> bytes:
        size = max(0, min(size, self.size - position))
        head = self._prefix[position : position + size]
        start = self._start + max(0, position - len(self._prefix))
        return head + self._media.read(start, size - len(head)) if len(head) < size else head


def undecodable(message: str) -> ServiceError:
    return ServiceError(ErrorCode.AUDIO_UNDECODABLE, message, param="file")


def too_long(max_duration_s: float) -> ServiceError:
    message = f"The audio is longer than {max_duration_s:g} s, which is the limit of this server."
    return ServiceError(ErrorCode.AUDIO_TOO_LARGE, message, param="file")


@contextmanager
def open_media(media: Media, is_stopped: Callable[[], bool]) -> Iterator[InputContainer]:
    """Opens media for demuxing.

    Args:
        media: any file.
        is_stopped: called at each read; when it returns True, the read returns no data, as at the end of the file.

    Raises:
        ServiceError: AUDIO_UNDECODABLE.
    """
    try:
        container = av.open(
            _Reader(media, is_stopped),
            mode="r",
            container_options={
                "format_whitelist": ",".join(DEMUXERS),
                "max_streams": str(MAX_STREAMS),
                # A second protection: if a demuxer tries to open another file or an address, no protocol is allowed.
                "protocol_whitelist": _NO_PROTOCOL,
                # This excludes video decoders: opening an h264 or vp9 file spent 15 to 29 ms in them.
                "codec_whitelist": ",".join(DECODERS),
                **_wav_options(media),
            },
            metadata_errors="replace",
        )
    except FFmpegError as error:
        raise undecodable(TOO_MUCH_MEMORY if isinstance(error, MemoryError) else NOT_MEDIA) from error
    with container:
        yield container


def _wav_options(media: Media) -> dict[str, str]:
    """Returns options that make WAV files faster: 5 s of 44.1 kHz stereo s16 take 4 ms instead of 24 ms."""
    start = media.read(0, 12)
    if start[:4] != b"RIFF" or start[8:] != b"WAVE":
        return {}
    # max_probe_packets: do not search the PCM for DTS. max_size: packets of up to a second instead of 64 ms need fewer
    # calls; two hours of 8 kHz u8 take 1.0 s instead of 4.8 s.
    return {"max_probe_packets": "1", "max_size": "65536"}


class _Reader:
    """The file object that PyAV reads. It has no name, because FFmpeg's libraries would guess a format from it.

    Its methods must not raise: if a demuxer ignores the error of a callback, PyAV keeps the exception and raises it in
    the next file that the same thread decodes.
    """

    def __init__(self, media: Media, is_stopped: Callable[[], bool]) -> None:
        self._media = media
        self._position = 0
        self._is_stopped = is_stopped

    def read(self, size: int) -> bytes:
        if self._position >= self._media.size or self._is_stopped():
            return b""
        piece = self._media.read(self._position, size)
        self._position += len(piece)
        return piece

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        start = (0, self._position, self._media.size)
        if whence not in range(3) or start[whence] + offset < 0:
            return -1
        self._position = start[whence] + offset
        return self._position

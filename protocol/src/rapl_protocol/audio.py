"""The only audio format between services: 16 kHz, mono, signed 16-bit little-endian PCM."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

SAMPLE_RATE_HZ = 16_000
SAMPLE_WIDTH_BYTES = 2
BYTES_PER_SECOND = SAMPLE_RATE_HZ * SAMPLE_WIDTH_BYTES

_PCM_FORMAT_TAG = 0x0001
_EXTENSIBLE_FORMAT_TAG = 0xFFFE
# KSDATAFORMAT_SUBTYPE_PCM without its first two bytes, which are the format tag itself.
# Source: https://learn.microsoft.com/windows-hardware/drivers/ddi/ksmedia/ns-ksmedia-waveformatextensible
_SUBFORMAT_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
# Programs that write to a pipe do not know the length, and write one of these instead.
_STREAMED_LENGTHS = (0, 0xFFFFFFFF)
_MAX_CHUNKS = 100
"""Most chunks of a WAV file that are looked at. Recorders write about ten."""


@dataclass(frozen=True, slots=True)
class WavAudio:
    """Speech audio that has been checked: 16 kHz, mono, s16le, a whole number of samples."""

    pcm: bytes | memoryview
    """Samples, s16le, without a header."""

    def __post_init__(self) -> None:
        if len(self.pcm) % SAMPLE_WIDTH_BYTES:
            raise ValueError("the audio ends in the middle of a sample")

    @property
    def duration_s(self) -> float:
        return len(self.pcm) / BYTES_PER_SECOND

    @classmethod
    def from_wav(cls, data: bytes | memoryview) -> Self:
        """Reads a WAV file in the format of this module. The samples are a view of `data`.

        Raises:
            ValueError: the data is not a WAV file, is cut off, has more audio behind its samples, or is not 16 kHz mono
                s16; the message says which.
        """
        pcm = None
        for name, body, is_whole in _chunks(memoryview(data)):
            if name == b"fmt ":
                _require_canonical(body)
            elif name == b"data":
                if not is_whole:
                    raise ValueError("the WAV file is cut off")
                if pcm is not None:
                    raise ValueError("the WAV file has a second data chunk")
                pcm = body
            elif name == b"RIFF":
                raise ValueError("another WAV file follows the first one")
        if pcm is None:
            raise ValueError("the WAV file has no data chunk")
        return cls(pcm)

    def to_wav(self) -> bytes:
        """The same audio as a WAV file with the usual 44-byte header."""
        return b"".join((self.wav_header(), self.pcm))

    def wav_header(self) -> bytes:
        """The 44-byte header that precedes the samples in a WAV file."""
        size = len(self.pcm)
        return struct.pack(
            "<4sI4s4sIHHIIHH4sI",
            b"RIFF", 36 + size, b"WAVE",
            b"fmt ", 16, _PCM_FORMAT_TAG, 1, SAMPLE_RATE_HZ, BYTES_PER_SECOND, SAMPLE_WIDTH_BYTES, 16,
            b"data", size,
        )  # fmt: skip


def _chunks(data: memoryview) -> Iterator[tuple[bytes, memoryview, bool]]:
    """Yields (name, body, is_whole) of the first _MAX_CHUNKS chunks, also of those behind the RIFF file."""
    if len(data) < 12 or bytes(data[:4]) != b"RIFF" or bytes(data[8:12]) != b"WAVE":
        raise ValueError("the data is not a WAV file")
    position = 12
    has_format = False
    for _ in range(_MAX_CHUNKS):
        if position + 8 > len(data):
            return
        name, size = bytes(data[position : position + 4]), struct.unpack_from("<I", data, position + 4)[0]
        start = position + 8
        if name == b"data":
            if not has_format:
                raise ValueError("the WAV file has no format before its data")
            if size in _STREAMED_LENGTHS:
                size = len(data) - start
        body = data[start : start + size]
        has_format = has_format or name == b"fmt "
        yield name, body, len(body) == size
        position = start + size + size % 2


def _require_canonical(fmt: memoryview) -> None:
    if len(fmt) < 16:
        raise ValueError("the WAV file's format chunk is too short")
    tag, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", fmt)
    if tag == _EXTENSIBLE_FORMAT_TAG and len(fmt) >= 40 and bytes(fmt[26:40]) == _SUBFORMAT_GUID_TAIL:
        (tag,) = struct.unpack_from("<H", fmt, 24)
    if (tag, channels, rate_hz, bits) != (_PCM_FORMAT_TAG, 1, SAMPLE_RATE_HZ, 16):
        raise ValueError(
            f"the WAV file is not 16 kHz mono s16 PCM (format {tag}, {rate_hz} Hz, {channels} channels, {bits} bit)"
        )

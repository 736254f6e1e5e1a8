import struct

import pytest
from rapl_protocol.audio import WavAudio
from rapl_protocol.testing import make_tone


def riff(*chunks: tuple[bytes, bytes], data_size: int | None = None) -> bytes:
    body = b""
    for name, content in chunks:
        size = data_size if name == b"data" and data_size is not None else len(content)
        body += name + struct.pack("<I", size) + content + b"\0" * (len(content) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


CANONICAL = struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
EXTENSIBLE = struct.pack("<HHIIHHHHI", 0xFFFE, 1, 16_000, 32_000, 2, 16, 22, 16, 4) + bytes.fromhex(
    "0100000000001000800000aa00389b71"
)
SAMPLES = bytes(range(64))


def test_a_written_wav_reads_back_as_the_same_audio():
    audio = make_tone(0.5)

    assert bytes(WavAudio.from_wav(audio.to_wav()).pcm) == audio.pcm


def test_duration_counts_samples_at_16_khz():
    assert WavAudio(bytes(32_000)).duration_s == 1.0


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(riff((b"fmt ", CANONICAL), (b"data", SAMPLES)), id="plain"),
        pytest.param(riff((b"fmt ", EXTENSIBLE), (b"data", SAMPLES)), id="extensible header"),
        pytest.param(riff((b"fmt ", CANONICAL), (b"LIST", b"odd"), (b"data", SAMPLES)), id="odd chunk in between"),
        pytest.param(riff((b"fmt ", CANONICAL), (b"data", SAMPLES), (b"LIST", b"tags")), id="chunk behind the data"),
        pytest.param(riff((b"fmt ", CANONICAL), (b"data", SAMPLES), data_size=0xFFFFFFFF), id="length of a pipe"),
        pytest.param(riff((b"fmt ", CANONICAL), (b"data", SAMPLES), data_size=0), id="length never filled in"),
    ],
)
def test_canonical_wav_is_read_whatever_its_header(data: bytes):
    assert bytes(WavAudio.from_wav(data).pcm) == SAMPLES


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "not a WAV", id="empty"),
        pytest.param(bytes(1024), "not a WAV", id="zeros"),
        pytest.param(riff((b"fmt ", CANONICAL), (b"data", SAMPLES))[:-8], "cut off", id="cut off"),
        pytest.param(riff((b"fmt ", CANONICAL), (b"data", SAMPLES)) * 2, "another WAV", id="two files"),
        pytest.param(
            riff((b"fmt ", CANONICAL), (b"data", SAMPLES), (b"LIST", b"tags"), (b"data", SAMPLES)),
            "second data",
            id="two data chunks",
        ),
        pytest.param(riff((b"data", SAMPLES)), "no format", id="no format"),
        pytest.param(riff((b"fmt ", CANONICAL)), "no data", id="no data"),
        pytest.param(riff((b"fmt ", CANONICAL[:8]), (b"data", SAMPLES)), "too short", id="short format"),
        pytest.param(riff((b"fmt ", CANONICAL), (b"data", b"123")), "middle of a sample", id="half a sample"),
        pytest.param(
            riff((b"fmt ", struct.pack("<HHIIHH", 1, 2, 16_000, 64_000, 4, 16)), (b"data", SAMPLES)),
            "2 channels",
            id="stereo",
        ),
        pytest.param(
            riff((b"fmt ", struct.pack("<HHIIHH", 3, 1, 16_000, 64_000, 4, 32)), (b"data", SAMPLES)),
            "format 3",
            id="float",
        ),
    ],
)
def test_anything_else_is_refused_with_the_reason(data: bytes, reason: str):
    with pytest.raises(ValueError, match=reason):
        WavAudio.from_wav(data)

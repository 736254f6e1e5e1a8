"""Times are those of the file, even if parts of it are missing."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from rapl_protocol.errors import ErrorCode, ServiceError

Prepare = Callable[[bytes], Awaitable[Any]]


@pytest.mark.parametrize(("container", "codec"), [("mp4", "aac"), ("matroska", "libopus")])
async def test_a_track_that_starts_late_keeps_its_time(
    prepare: Prepare, encode, assert_melody, container: str, codec: str
):
    prepared = await prepare(encode(container, codec, start_s=2.0))

    assert_melody(prepared.samples, starts_s=2.0)
    assert prepared.duration_s == pytest.approx(5.0, abs=0.05)


async def test_audio_that_starts_after_the_video_keeps_its_distance(prepare: Prepare, encode, assert_melody):
    prepared = await prepare(encode("mpegts", "aac", start_s=2.0, video="mpeg2video"))

    assert_melody(prepared.samples, starts_s=2.0)


@pytest.mark.parametrize(("container", "codec", "start_s"), [("mpegts", "aac", 500.0), ("matroska", "libopus", 500.0)])
async def test_a_file_cut_out_of_something_longer_starts_at_zero(
    prepare: Prepare, encode, assert_melody, container: str, codec: str, start_s: float
):
    prepared = await prepare(encode(container, codec, start_s=start_s))

    assert_melody(prepared.samples)
    assert prepared.duration_s == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize(
    ("container", "codec"), [("mp4", "aac"), ("matroska", "aac"), ("matroska", "flac"), ("mp4", "libopus")]
)
async def test_broken_packets_become_silence_of_their_length_and_the_rest_keeps_its_time(
    prepare: Prepare, encode, assert_melody, dominant_hz, caplog: pytest.LogCaptureFixture, container: str, codec: str
):
    media = encode(container, codec, broken_packets=range(6, 14))

    with caplog.at_level(logging.WARNING, "rapl"):
        prepared = await prepare(media)

    assert prepared.duration_s == pytest.approx(3.0, abs=0.1)
    assert [round(dominant_hz(prepared.samples, at), -1) for at in (1.85, 2.05, 2.85)] == [0, 1000, 1000]
    assert "damaged media: places=1 damaged_s=0." in caplog.text


async def test_broken_packets_of_a_stream_without_timestamps_become_silence_too(prepare: Prepare, encode, dominant_hz):
    media = bytearray(encode("mp3", "libmp3lame", 44_100))
    third = len(media) // 3
    media[third : third + 2000] = bytes(2000)

    prepared = await prepare(bytes(media))

    assert prepared.duration_s == pytest.approx(3.0, abs=0.3)
    assert dominant_hz(prepared.samples, prepared.duration_s - 0.2) == pytest.approx(1000, abs=10)


@pytest.mark.parametrize(
    ("container", "codec"),
    [("mp3", "libmp3lame"), ("webm", "libopus"), ("ogg", "libopus"), ("flac", "flac"), ("wav", "pcm_s24le")],
)
async def test_a_truncated_file_gives_what_there_is(prepare: Prepare, encode, dominant_hz, container: str, codec: str):
    media = encode(container, codec)

    prepared = await prepare(media[: len(media) * 6 // 10])

    assert 1.0 < prepared.duration_s < 2.6
    assert dominant_hz(prepared.samples, 0.9) == pytest.approx(440, abs=10)


async def test_a_truncated_canonical_wav_gives_what_there_is(prepare: Prepare, speech_wav: bytes):
    prepared = await prepare(speech_wav[: 44 + 32_000])

    assert prepared.duration_s == pytest.approx(1.0)


async def test_an_mp4_whose_index_was_cut_off_is_refused(prepare: Prepare, encode):
    media = encode("mp4", "aac")

    with pytest.raises(ServiceError) as caught:
        await prepare(media[: len(media) // 2])

    assert caught.value.code is ErrorCode.AUDIO_UNDECODABLE


async def test_a_file_without_one_whole_packet_is_refused(prepare: Prepare, encode):
    with pytest.raises(ServiceError, match="contains no audio") as caught:
        await prepare(encode("matroska", "flac", broken_packets=range(10_000)))

    assert caught.value.code is ErrorCode.AUDIO_UNDECODABLE

"""A short file as the audio that an engine transcribes, and whether that audio holds speech."""

import asyncio
import io
import json

import numpy as np
import pytest
from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.prepared import PrepareOptions, SpeechCheck
from rapl_service.calls.call import Http
from rapl_service.calls.clients import PreprocessClient

CODINGS = {
    "m4a": ("mp4", "aac", 44_100, "stereo"),
    "webm": ("webm", "libopus", 48_000, "mono"),
    "ogg": ("ogg", "libopus", 48_000, "stereo"),
    "mp3": ("mp3", "libmp3lame", 44_100, "mono"),
    "flac": ("flac", "flac", 48_000, "stereo"),
    "wav": ("wav", "pcm_s16le", 44_100, "stereo"),
    "canonical wav": ("wav", "pcm_s16le", 16_000, "mono"),
}

ON = PrepareOptions()
DECODE_ONLY = PrepareOptions(speech_detection="off")


def tone(duration_s: float, rate_hz: int) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(round(duration_s * rate_hz)) / rate_hz)).astype(np.float32)


@pytest.mark.parametrize("coding", CODINGS.values(), ids=CODINGS.keys())
async def test_its_audio_is_that_of_preparing_it_without_detection(client: PreprocessClient, prepare, encode, coding):
    media = encode(*coding)

    [clip], prepared = await clip_of(client, media, DECODE_ONLY), await prepare(media)

    assert [clip.pcm] == [segment.audio.pcm for segment in prepared.segments]
    assert clip.duration_s == pytest.approx(3.0, abs=0.1)


async def test_a_clip_that_is_too_large_for_memory_is_decoded_from_disk(client: PreprocessClient, encode):
    media = encode("wav", "pcm_f32le", 48_000, "stereo", tone(29.0, 48_000))
    assert len(media) > 10_000_000

    [clip] = await clip_of(client, media, DECODE_ONLY)

    assert clip.duration_s == pytest.approx(29.0, abs=0.01)


@pytest.mark.parametrize(
    ("container", "codec", "is_live"),
    [("mp4", "aac", False), ("webm", "libopus", True), ("mp3", "libmp3lame", False), ("ogg", "libopus", False)],
)
async def test_more_than_thirty_seconds_are_413_announced_or_not(
    client: PreprocessClient, encode, container, codec, is_live
):
    media = encode(container, codec, 48_000, "mono", tone(31.0, 48_000), is_live=is_live)

    with pytest.raises(ServiceError) as caught:
        await clip_of(client, media)

    assert caught.value.code is ErrorCode.AUDIO_TOO_LARGE


@pytest.mark.parametrize("media", [b"", b"R", b"three one four" * 1000, bytes(100_000)])
async def test_a_file_that_is_not_audio_is_400(http: Http, url: str, media: bytes):
    async with http.streams.post(f"{url}/v1/clip", data=io.BytesIO(media)) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]["code"] == "audio_undecodable"


async def test_a_damaged_clip_is_decoded_as_far_as_possible_and_the_log_says_so(
    client: PreprocessClient, prepare, encode, caplog
):
    media = encode("mp4", "aac", broken_packets=range(20, 25))

    [clip] = await clip_of(client, media, DECODE_ONLY)

    assert "damaged media: places=1 damaged_s=0.1" in caplog.text
    assert [clip.pcm] == [segment.audio.pcm for segment in (await prepare(media)).segments]


async def test_its_log_line_has_its_format_and_duration(client: PreprocessClient, encode, caplog):
    with caplog.at_level("INFO", "rapl"):
        await clip_of(client, encode(*CODINGS["webm"]))
        for _ in range(1_000):  # the line is written after the response
            if "path=/v1/clip" in caplog.text:
                break
            await asyncio.sleep(0.01)

    assert "status=200" in caplog.text
    assert "container=matroska codec=opus audio_s=3.0" in caplog.text
    assert "speech_s=0.00" in caplog.text


@pytest.mark.parametrize(("container", "codec"), [("mp4", "aac"), ("webm", "libopus"), ("flac", "flac")])
async def test_it_is_checked_for_speech_as_its_wav_is(client: PreprocessClient, encode, speech_wav, container, codec):
    times = np.arange(len(WavAudio.from_wav(speech_wav).pcm) // 2 * 3) / 3
    speech = np.frombuffer(WavAudio.from_wav(speech_wav).pcm, "<i2").astype(np.float32) / 32_768
    spoken = np.interp(times, np.arange(len(speech)), speech).astype(np.float32)

    for sound in (spoken, tone(3.0, 48_000)):
        audio, check = await clip_of(client, encode(container, codec, 48_000, sound=sound))

        assert check == await client.speech(audio, deadline_s=10)
        assert bool(check.speech) == (sound is spoken)


async def test_the_options_of_detection_apply_to_it(client: PreprocessClient, encode):
    _, check = await clip_of(client, encode("mp4", "aac"), PrepareOptions(vad_threshold=0))

    assert check.speech


async def test_its_audio_comes_before_the_speech_check(http: Http, url: str, encode):
    async with http.streams.post(f"{url}/v1/clip", data=io.BytesIO(encode("mp4", "aac"))) as answer:
        body = await answer.read()

    first, _, rest = body.partition(b"\n")
    header = json.loads(first)
    assert header["type"] == "audio"
    assert json.loads(rest[header["payload_bytes"] :]) == {"type": "speech", "speech": []}


async def clip_of(client: PreprocessClient, media: bytes, options: PrepareOptions = ON) -> list[WavAudio | SpeechCheck]:
    """The clip's audio and, with speech detection on, its speech check."""
    async with client.clip(media, options, deadline_s=10) as clip:
        return (
            [clip.audio] if options.speech_detection == "off" else [clip.audio, await clip.speech_check(deadline_s=10)]
        )

"""The service under load, at its limits, and with clients that misbehave."""

import asyncio
import io
import logging
import os
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
from processes import IS_LINUX, cpu_s, family, own_memory_bytes
from rapl_preprocess.app import create_app
from rapl_preprocess.settings import Settings
from rapl_preprocess.threads import iterate_in_threads
from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.prepared import PreparedEvent, PrepareEnd, PrepareOptions, SpeechSegment
from rapl_protocol.testing import make_tone
from rapl_service.calls.call import Http, Service
from rapl_service.calls.clients import PreprocessClient
from rapl_service.telemetry.settings import TelemetrySettings
from rapl_service.testing import served

SETTINGS_TABLE = Path(__file__).parents[1] / "README.md"

CUT_ONLY = PrepareOptions(speech_detection="off")


def long_wav(duration_s: int, sound: bytes = b"\x80\x81") -> bytes:
    """Quiet 8 kHz u8 audio: small for its length, but it has to be decoded and resampled.

    Args:
        sound: other samples, to be repeated.
    """
    size = duration_s * 8000
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8, b"data", size
    )
    return header + (sound * (size // len(sound) + 1))[:size]


async def refused(http: Http, settings: Settings, media: object) -> ServiceError:
    async with served(create_app(settings)) as url:
        client = PreprocessClient(http, Service("preprocess-service", url, ""))
        with pytest.raises(ServiceError) as caught:
            await collect(client.prepare(media, idle_s=30), [])  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize("size_bytes", [100_001, 5_000_000])
@pytest.mark.parametrize("has_length", [True, False])
async def test_an_upload_over_the_limit_is_413_and_the_sender_sees_it(http: Http, size_bytes: int, has_length: bool):
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, size_bytes, 65_536):
            yield bytes(min(65_536, size_bytes - start))

    error = await refused(http, Settings(max_upload_bytes=100_000), bytes(size_bytes) if has_length else pieces())

    assert (error.code, error.param) == (ErrorCode.AUDIO_TOO_LARGE, "file")
    assert "100000 bytes" in error.message


async def test_an_upload_without_content_length_is_accepted(client: PreprocessClient):
    async def pieces() -> AsyncIterator[bytes]:
        media = long_wav(600)
        for start in range(0, len(media), 100_000):
            yield media[start : start + 100_000]

    events = [event async for event in client.prepare(pieces(), idle_s=30)]  # type: ignore[arg-type]

    assert events[-1] == PrepareEnd(duration_s=600.0, speech_s=0.0)


async def test_a_large_canonical_wav_passes_through_its_temporary_file_unchanged(client: PreprocessClient):
    tone = make_tone(100)

    events = [event async for event in client.prepare(tone.to_wav(), options=CUT_ONLY, idle_s=30)]

    assert b"".join(e.audio.pcm for e in events if isinstance(e, SpeechSegment)) == tone.pcm


async def test_audio_longer_than_the_limit_is_413_at_once_where_its_length_is_known(http: Http, encode):
    settings = Settings(max_duration_s=2)
    for media in (make_tone(2.5).to_wav(), encode("mp4", "aac"), encode("mp3", "libmp3lame")):
        error = await refused(http, settings, media)
        assert error.code is ErrorCode.AUDIO_TOO_LARGE
        assert "longer than 2 s" in error.message


async def test_a_failure_after_the_first_segments_is_an_error_among_the_events(http: Http):
    received: list[PreparedEvent] = []
    async with served(create_app(Settings(max_duration_s=100))) as url:
        client = PreprocessClient(http, Service("preprocess-service", url, ""))
        events = client.prepare(long_wav(600), options=CUT_ONLY, idle_s=30)
        with pytest.raises(ServiceError, match="longer than 100 s") as caught:
            await collect(events, received)

    assert caught.value.code is ErrorCode.AUDIO_TOO_LARGE
    assert isinstance(received[1], SpeechSegment)


async def collect(events: AsyncIterator[PreparedEvent], received: list[PreparedEvent]) -> None:
    async for event in events:
        received.append(event)


@pytest.mark.skipif(not IS_LINUX, reason="reads the memory of the processes from /proc")
@pytest.mark.parametrize("options", [PrepareOptions(), CUT_ONLY])
async def test_hours_of_audio_pass_in_bounded_memory(
    client: PreprocessClient, speech_wav: bytes, tmp_path: Path, options: PrepareOptions
):
    speech = memoryview(WavAudio.from_wav(speech_wav).pcm).cast("h")[::2]
    (tmp_path / "long.wav").write_bytes(long_wav(3600, bytes(128 + (sample >> 8) for sample in speech)))
    before, peak, prepared_s = own_memory_bytes(family(os.getpid())), 0, 0.0

    with (tmp_path / "long.wav").open("rb") as media:
        async for event in client.prepare(media, options=options, idle_s=30):
            peak = max(peak, own_memory_bytes(family(os.getpid())))
            prepared_s += event.audio.duration_s if isinstance(event, SpeechSegment) else 0

    assert prepared_s == pytest.approx(3600, rel=0.05)
    assert peak - before < 40 << 20  # of 115 MB that were sent: the client's, the service's and the decoder's


@pytest.mark.skipif(not IS_LINUX, reason="reads the memory of the processes from /proc")
async def test_an_hour_of_m4a_takes_at_most_12_mb_more_than_other_files(client: PreprocessClient, encode, make_melody):
    minute = encode("ipod", "aac", 44_100, sound=np.tile(make_melody(44_100), 20))
    hour = repeated(minute, "ipod", 60)
    before, peak, prepared_s = own_memory_bytes(family(os.getpid())), 0, 0.0

    async for event in client.prepare(hour, options=CUT_ONLY, idle_s=30):
        peak = max(peak, own_memory_bytes(family(os.getpid())))
        prepared_s += event.audio.duration_s if isinstance(event, SpeechSegment) else 0

    assert prepared_s == pytest.approx(3600, rel=0.001)
    assert peak - before < (40 + 12) << 20


def repeated(media: bytes, container: str, times: int) -> bytes:
    """The same packets again and again, in one file."""
    target, end = io.BytesIO(), 0
    with av.open(io.BytesIO(media)) as source, av.open(target, "w", format=container) as output:
        stream = output.add_stream_from_template(source.streams.audio[0])
        packets = [(bytes(packet), packet.duration) for packet in source.demux(audio=0) if packet.size]
        for content, duration in packets * times:
            packet = av.Packet(content)
            packet.stream, packet.time_base = stream, source.streams.audio[0].time_base
            packet.pts = packet.dts = end
            packet.duration, end = duration, end + duration
            output.mux(packet)
    return target.getvalue()


@pytest.mark.skipif(not IS_LINUX, reason="reads the work of the processes from /proc")
async def test_a_client_that_goes_away_ends_its_request(client: PreprocessClient, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, "rapl"):
        events = client.prepare(long_wav(3600), idle_s=30)
        await anext(events)
        await events.aclose()
        await until(lambda: "path=/v1/prepare" in caplog.text)

    assert "Traceback" not in caplog.text
    await asyncio.sleep(0.2)
    used_s = cpu_s(family(os.getpid()))
    await asyncio.sleep(0.5)
    assert cpu_s(family(os.getpid())) - used_s < 0.15


async def test_a_client_that_goes_away_while_it_sends_leaves_one_line_and_no_traceback(
    url: str, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.INFO, "rapl"):
        _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b"POST /v1/prepare HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\nRIFF")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        await until(lambda: "path=/v1/prepare" in caplog.text)

    assert "Traceback" not in caplog.text


async def test_eight_clients_at_once_each_get_their_own_sound(client: PreprocessClient, encode, make_melody):
    async def duration_s(seconds: int) -> float:
        media = await asyncio.to_thread(encode, "webm", "libopus", sound=make_melody(48_000)[: 48_000 * seconds // 4])
        events = [event async for event in client.prepare(media, idle_s=30)]
        return events[-1].duration_s  # type: ignore[union-attr]

    lengths = range(2, 10)
    assert await asyncio.gather(*map(duration_s, lengths)) == pytest.approx([n / 4 for n in lengths], abs=0.01)


async def test_a_short_clip_does_not_wait_for_the_end_of_long_files(http: Http):
    async with served(create_app(Settings(workers=1))) as url:
        client = PreprocessClient(http, Service("preprocess-service", url, ""))
        unread = [client.prepare(long_wav(3600), idle_s=30) for _ in range(4)]
        for events in unread:
            await anext(events)

        for clip in (make_tone(1).to_wav(), long_wav(1)):
            prepared = [event async for event in client.prepare(clip, idle_s=5)]
            assert prepared[-1] == PrepareEnd(duration_s=1.0, speech_s=0.0)

        for events in unread:
            await events.aclose()


async def test_a_given_request_id_is_kept_and_logged(http: Http, url: str, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, "rapl"):
        async with http.streams.post(
            f"{url}/v1/prepare", data=make_tone(1).to_wav(), headers={"x-request-id": "req_mine"}
        ) as answer:
            assert answer.headers["x-request-id"] == "req_mine"
            assert answer.content_type == "application/vnd.rapl.frames"
        await until(lambda: "request_id=req_mine" in caplog.text)

    assert "container=wav codec=pcm_s16le audio_s=1.00" in caplog.text


def test_the_detector_needs_neither_torch_nor_its_packages_own_code():
    code = (
        "from rapl_preprocess.speech.silero import SpeechModel; SpeechModel.load().listen().probabilities(bytes(1024))"
    )
    code += "; import sys; print([name for name in ('torch', 'silero_vad') if name in sys.modules])"

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert ended.stdout.strip() == "[]"


async def test_health_is_live_and_ready(http: Http, url: str):
    for path in ("/health/live", "/health/ready"):
        async with http.streams.get(url + path) as answer:
            assert answer.status == 200


async def test_at_most_one_item_of_an_iterator_is_made_ahead():
    made: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(1, 1000):
            made.append(number)
            yield number

    with ThreadPoolExecutor(1) as threads:
        items = iterate_in_threads(numbers(), threads)
        assert await anext(items) == 1
        await asyncio.sleep(0.1)
        assert made == [1, 2]
        await items.aclose()
    assert made == [1, 2]


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "99999"), ("MAX_UPLOAD_BYTES", "1 GB"), ("WORKERS", "0"), ("LOG_LEVEL", "loud")]
)
def test_a_bad_setting_ends_the_start_with_one_line_that_names_it(name: str, value: str):
    variable = f"RAPL_PREPROCESS_{name}"
    ended = subprocess.run(
        [sys.executable, "-m", "rapl_preprocess"], env={variable: value}, capture_output=True, text=True, timeout=60
    )

    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert line.startswith(f"{variable}:")


@pytest.mark.parametrize("name", [name for name in Settings.model_fields if name not in TelemetrySettings.model_fields])
def test_every_setting_is_in_the_readme_with_its_default(name: str):
    field = Settings.model_fields[name]

    assert f"| `RAPL_PREPROCESS_{name.upper()}` | `{field.default}` |" in SETTINGS_TABLE.read_text()


async def until(is_so, timeout_s: float = 5.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not is_so():  # noqa: ASYNC110 - a log line gives no signal
            await asyncio.sleep(0.01)

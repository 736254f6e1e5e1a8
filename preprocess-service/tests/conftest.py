"""Generated clips, and the real service on a real socket with the real client."""

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from rapl_preprocess.app import create_app
from rapl_preprocess.settings import Settings
from rapl_protocol.prepared import MediaReport, PrepareEnd, PrepareOptions, SourceInfo, SpeechSegment
from rapl_service.calls.call import Http, Service, open_http
from rapl_service.calls.clients import PreprocessClient
from rapl_service.testing import served

RATE_HZ = 16_000
SPEECH_WAV = Path(__file__).parents[2] / "samples" / "three-one-four.wav"
MELODY = ((0, 0.5), (440, 1.0), (0, 0.5), (1000, 1.0))
"""(frequency in Hz, seconds); 3 s in all."""


@dataclass
class Prepared:
    source: SourceInfo
    segments: list[SpeechSegment]
    duration_s: float
    speech_s: float | None
    media: MediaReport

    @property
    def samples(self) -> np.ndarray:
        """float64, (samples,), [-1, 1]"""
        return np.frombuffer(b"".join(s.audio.pcm for s in self.segments), "<i2") / 32768


def make_melody(rate_hz: int) -> np.ndarray:
    """MELODY at 0.3 of full scale; float32, (samples,)."""
    parts = [0.3 * np.sin(2 * np.pi * hz * np.arange(round(s * rate_hz)) / rate_hz) for hz, s in MELODY]
    return np.concatenate(parts).astype(np.float32)


def encode(
    container: str,
    codec: str,
    rate_hz: int = 48_000,
    layout: str = "mono",
    sound: np.ndarray | None = None,
    *,
    start_s: float = 0.0,
    broken_packets: range = range(0),
    video: str | None = None,
    is_live: bool = False,
) -> bytes:
    """A clip with MELODY in every channel.

    Args:
        sound: float32, in place of MELODY: (samples,) for every channel, or (channels, samples).
        start_s: the first timestamp.
        broken_packets: these packets' bytes are replaced by others that no decoder takes.
        video: a codec, for a video track of noise in front of the audio track.
        is_live: write as to a pipe, as MediaRecorder does: no duration and no index.
    """
    sound = make_melody(rate_hz) if sound is None else sound
    written = io.BytesIO()
    target = _Pipe(written) if is_live else written
    with av.open(target, "w", format=container, container_options={"live": "1"} if is_live else {}) as output:
        pictures = _add_video(output, video) if video else None
        stream = output.add_stream(codec, rate=rate_hz, layout=layout)
        stream.bit_rate = 96_000  # wmav2 has no default
        resampler = av.AudioResampler(stream.format, layout, rate_hz, frame_size=stream.frame_size or None)
        channels = av.AudioLayout(layout).nb_channels
        packed = np.broadcast_to(sound, (channels, sound.shape[-1])).T.astype(np.float32).reshape(1, -1)
        whole = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
        whole.sample_rate, whole.pts = rate_hz, round(start_s * rate_hz)
        frames = resampler.resample(whole) + resampler.resample(None)
        packets = [packet for frame in [*frames, None] for packet in stream.encode(frame)]
        if pictures:
            _mux_noise(output, pictures, sound.shape[-1] / rate_hz)
        for i, packet in enumerate(packets):
            output.mux(_broken(packet) if i in broken_packets else packet)
    return written.getvalue()


def in_fragments(media: bytes) -> bytes:
    """The same packets in fragments of 1 s, without an index, as browsers and live recorders write them."""
    target = io.BytesIO()
    options = {"movflags": "empty_moov+default_base_moof", "frag_duration": "1000000"}
    with av.open(io.BytesIO(media)) as source, av.open(target, "w", format="mp4", options=options) as output:
        stream = output.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    return target.getvalue()


class _Pipe:
    def __init__(self, target: io.BytesIO) -> None:
        self.write = target.write


def _broken(packet: av.Packet) -> av.Packet:
    broken = av.Packet(b"\xff" * packet.size)
    broken.stream, broken.time_base = packet.stream, packet.time_base
    broken.pts, broken.dts, broken.duration = packet.pts, packet.dts, packet.duration
    return broken


def _add_video(output: av.container.OutputContainer, codec: str) -> av.VideoStream:
    stream = output.add_stream(codec, rate=25)
    stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
    return stream


def _mux_noise(output: av.container.OutputContainer, stream: av.VideoStream, duration_s: float) -> None:
    noise = np.random.default_rng(1)
    for i in range(round(25 * duration_s)):
        picture = av.VideoFrame.from_ndarray(noise.integers(0, 255, (96, 160, 3), np.uint8), format="rgb24")
        picture.pts = i
        output.mux(stream.encode(picture))
    output.mux(stream.encode(None))


def dominant_hz(samples: np.ndarray, at_s: float) -> float:
    """The frequency in Hz that stands out in the 100 ms from `at_s`; 0 where it is quiet."""
    window = samples[round(at_s * RATE_HZ) : round((at_s + 0.1) * RATE_HZ)]
    if len(window) < 800 or np.sqrt(np.mean(window**2)) < 0.01:
        return 0.0
    return float(np.abs(np.fft.rfft(window * np.hanning(len(window)))).argmax() * RATE_HZ / len(window))


def assert_melody(samples: np.ndarray, starts_s: float = 0.0) -> None:
    """Checks that MELODY is there: each tone within 50 ms of its place, and as loud as it was."""
    tones = [dominant_hz(samples, starts_s + at) for at in (0.2, 0.35, 0.55, 1.0, 1.35, 1.55, 1.85, 2.05, 2.5, 2.85)]
    assert tones == pytest.approx([0, 0, 440, 440, 440, 0, 0, 1000, 1000, 1000], abs=10)
    at = round((starts_s + 0.9) * RATE_HZ)
    loudness = np.sqrt(np.mean(samples[at : at + RATE_HZ // 4] ** 2))
    assert loudness == pytest.approx(0.3 / np.sqrt(2), rel=0.3)  # AMR is the quietest, at 0.78


def best_match(original: np.ndarray, other: np.ndarray) -> tuple[int, float]:
    """By how many samples `other` is late, and the correlation at that shift (1.0: the same)."""
    size = 2 ** int(np.ceil(np.log2(len(original) + len(other))))
    correlation = np.fft.irfft(np.fft.rfft(other, size) * np.conj(np.fft.rfft(original, size)))
    at = int(correlation.argmax())
    similarity = correlation[at] / (np.linalg.norm(original) * np.linalg.norm(other))
    return (at if at < size // 2 else at - size), float(similarity)


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with open_http() as http:
        yield http


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """One service for all tests, in a thread with an event loop of its own, as it takes a second to start."""
    address, ended = Future[str](), threading.Event()

    async def serve() -> None:
        async with served(create_app(Settings())) as url:
            address.set_result(url)
            await asyncio.to_thread(ended.wait)

    server = threading.Thread(target=asyncio.run, args=(serve(),))
    server.start()
    yield address.result(60)
    ended.set()
    server.join()


@pytest.fixture
def client(http: Http, url: str) -> PreprocessClient:
    return PreprocessClient(http, Service("preprocess-service", url, "Look at its log."))


Prepare = Callable[..., Awaitable[Prepared]]
DECODE_ONLY = PrepareOptions(speech_detection="off")


@pytest.fixture
def prepare(client: PreprocessClient) -> Prepare:
    async def prepare(media: bytes, options: PrepareOptions = DECODE_ONLY) -> Prepared:
        source, *segments, end = [event async for event in client.prepare(media, options=options, idle_s=30)]
        assert isinstance(source, SourceInfo)
        assert isinstance(end, PrepareEnd)
        return Prepared(source, segments, end.duration_s, end.speech_s, end.media)

    return prepare


@pytest.fixture(name="encode")
def _encode() -> Callable[..., bytes]:
    return encode


@pytest.fixture(name="in_fragments")
def _in_fragments() -> Callable[[bytes], bytes]:
    return in_fragments


@pytest.fixture(name="dominant_hz")
def _dominant_hz() -> Callable[..., float]:
    return dominant_hz


@pytest.fixture(name="make_melody")
def _make_melody() -> Callable[..., np.ndarray]:
    return make_melody


@pytest.fixture(name="assert_melody")
def _assert_melody() -> Callable[..., None]:
    return assert_melody


@pytest.fixture(name="best_match")
def _best_match() -> Callable[..., tuple[int, float]]:
    return best_match


@pytest.fixture(name="speech_wav")
def _speech_wav() -> bytes:
    return SPEECH_WAV.read_bytes()


@pytest.fixture
def silent_video() -> bytes:
    written = io.BytesIO()
    with av.open(written, "w", format="mp4") as output:
        _mux_noise(output, _add_video(output, "mpeg4"), 1.0)
    return written.getvalue()


@pytest.fixture
def wav_of_channels() -> Callable[[int], bytes]:
    def write(channels: int) -> bytes:
        written = io.BytesIO()
        soundfile.write(written, np.tile(make_melody(RATE_HZ)[:, None], (1, channels)), RATE_HZ, format="WAV")
        return written.getvalue()

    return write

"""Writes one recording in every container and codec that clients send, with FFmpeg's libraries through PyAV."""

from fractions import Fraction
from io import BytesIO

import av
import numpy as np
import soundfile
from av.audio.resampler import AudioResampler

WAV_SUBTYPES = {"s16": "PCM_16", "s24": "PCM_24", "f32": "FLOAT"}
CONTAINERS = {
    "mp3": ("mp3", "libmp3lame", 44_100),
    "m4a": ("ipod", "aac", 44_100),
    "webm": ("webm", "libopus", 48_000),
    "ogg": ("ogg", "vorbis", 44_100),
    "ogg-opus": ("ogg", "libopus", 48_000),
    "flac": ("flac", "flac", 48_000),
    "mp4-with-video": ("mp4", "aac", 48_000),
}
"""Name: FFmpeg's muxer, its encoder, and the sample rate."""
VIDEO_FRAMES_PER_S = 10


def as_wav(pcm: bytes, rate_hz: int, channels: int, sample: str) -> bytes:
    """Samples (16 kHz mono s16le) as a WAV of another rate, layout and sample format."""
    file = BytesIO()
    samples = np.repeat(_resampled(pcm, rate_hz)[:, None], channels, axis=1)
    soundfile.write(file, samples, rate_hz, format="WAV", subtype=WAV_SUBTYPES[sample])
    return file.getvalue()


def as_media(pcm: bytes, name: str) -> bytes:
    """Samples (16 kHz mono s16le) as one of CONTAINERS."""
    muxer, encoder, rate_hz = CONTAINERS[name]
    file = BytesIO()
    with av.open(file, "w", format=muxer) as container:
        audio = container.add_stream(encoder, rate=rate_hz, layout="stereo", options={"strict": "experimental"})
        video = _add_video(container) if name == "mp4-with-video" else None
        container.start_encoding()
        if video:
            _write_video(container, video, duration_s=len(pcm) / 32_000)
        _write_audio(container, audio, pcm, rate_hz)
    return file.getvalue()


def _resampled(pcm: bytes, rate_hz: int) -> np.ndarray:
    """float32, (samples,), [-1, 1]."""
    resampler = AudioResampler(format="flt", layout="mono", rate=rate_hz)
    frames = [*resampler.resample(_frame(pcm)), *resampler.resample(None)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def _frame(pcm: bytes) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.frombuffer(pcm, np.int16)[None], format="s16", layout="mono")
    frame.sample_rate = 16_000
    frame.time_base = Fraction(1, 16_000)
    frame.pts = 0
    return frame


def _write_audio(container, stream, pcm: bytes, rate_hz: int) -> None:
    codec = stream.codec_context
    resampler = AudioResampler(codec.format, codec.layout, rate_hz, frame_size=codec.frame_size or None)
    for frame in [*resampler.resample(_frame(pcm)), *resampler.resample(None)]:
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _add_video(container):
    stream = container.add_stream("mpeg4", rate=VIDEO_FRAMES_PER_S)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    return stream


def _write_video(container, stream, duration_s: float) -> None:
    for number in range(int(duration_s * VIDEO_FRAMES_PER_S)):
        picture = np.full((48, 64, 3), number * 5 % 255, np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
    container.mux(stream.encode(None))

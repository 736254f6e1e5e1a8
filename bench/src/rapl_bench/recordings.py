"""The recordings of the measurements, all made from the sample that ships with the project."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from rapl_protocol.audio import SAMPLE_RATE_HZ, WavAudio

SAMPLE = Path(__file__).parents[3] / "samples" / "three-one-four.wav"
SAMPLE_WORDS = ("3", "1", "4", "1", "5", "9")
"""The self-test model's transcript of the sample."""
CODECS = {"m4a": ("ipod", "aac"), "webm": ("webm", "libopus"), "mp3": ("mp3", "libmp3lame")}
"""Name: FFmpeg's muxer and its encoder."""
RECORDED_RATE_HZ = 48_000
"""The rate of browsers and phones."""
LONG_RATE_HZ = 44_100
"""The rate of voice recorders: three times as many packets as at 16 kHz."""
_FRAME_SAMPLES = 1 << 16
_NOISE = 12.0
"""Standard deviation of the long recording's noise, of 32768: -69 dBFS."""


@dataclass(frozen=True, slots=True)
class Clips:
    """The clips that one round of a measurement sends."""

    codec: str
    """"wav" for canonical WAV, or one of CODECS."""
    duration_s: float
    count: int
    """How often the clip is sent, one after another."""

    @property
    def name(self) -> str:
        length = f"{self.duration_s:g} s" if self.duration_s < 60 else f"{self.duration_s / 60:g} min"
        return f"{length} {self.codec}"

    def media(self) -> bytes:
        """The file's content."""
        return wav(self.duration_s) if self.codec == "wav" else encoded(speech(self.duration_s), self.codec)


def sample_pcm() -> np.ndarray:
    """The sample: int16, (samples,), 16 kHz."""
    return np.frombuffer(bytes(WavAudio.from_wav(SAMPLE.read_bytes()).pcm), np.int16)


def speech(duration_s: float) -> np.ndarray:
    """The sample, repeated and cut to `duration_s`: int16, (samples,), 16 kHz."""
    return np.resize(sample_pcm(), round(duration_s * SAMPLE_RATE_HZ))


def wav(duration_s: float) -> bytes:
    """Speech as a canonical WAV file."""
    return WavAudio(speech(duration_s).tobytes()).to_wav()


def encoded(pcm: np.ndarray, name: str, rate_hz: int = RECORDED_RATE_HZ) -> bytes:
    """Samples (int16, 16 kHz) as one of CODECS."""
    muxer, encoder = CODECS[name]
    file = io.BytesIO()
    with av.open(file, "w", format=muxer) as container:
        stream = cast(AudioStream, container.add_stream(encoder, rate=rate_hz, layout="mono"))
        codec = stream.codec_context
        resampler = AudioResampler(codec.format, codec.layout, rate_hz, frame_size=codec.frame_size or None)
        for frame in _frames(pcm):
            for ready in resampler.resample(frame):
                container.mux(stream.encode(ready))
        for ready in resampler.resample(None):
            container.mux(stream.encode(ready))
        container.mux(stream.encode(None))
    return file.getvalue()


@dataclass(frozen=True, slots=True)
class Recording:
    """A long recording, and how often it contains the sample."""

    file: Path
    duration_s: float
    utterances: int


def hours(count: float, folder: Path) -> Recording:
    """A recording of `count` hours: ten minutes, repeated."""
    return repeated(long_recording(600, folder), round(count * 6))


def long_recording(duration_s: float, folder: Path) -> Recording:
    """The sample, repeated with pauses of 0.5 to 4 s and faint noise, as m4a. The file stays in `folder`."""
    utterance = sample_pcm()
    random = np.random.default_rng(0)
    pieces: list[np.ndarray] = []
    samples = utterances = 0
    while samples < duration_s * SAMPLE_RATE_HZ:
        pause = np.zeros(random.integers(SAMPLE_RATE_HZ // 2, 4 * SAMPLE_RATE_HZ), np.int16)
        pieces += [pause, utterance]
        samples += len(pause) + len(utterance)
        utterances += 1
    file = folder / f"speech-{duration_s:.0f}-s-{LONG_RATE_HZ}-hz.m4a"
    if not file.exists():
        pcm = np.concatenate(pieces).astype(np.float32)
        pcm += random.standard_normal(len(pcm), np.float32) * _NOISE
        _write(file, encoded(np.clip(pcm, -32768, 32767).astype(np.int16), "m4a", LONG_RATE_HZ))
    return Recording(file, samples / SAMPLE_RATE_HZ, utterances)


def repeated(recording: Recording, times: int) -> Recording:
    """A recording that repeats another one, without encoding it again."""
    file = recording.file.with_stem(f"{recording.file.stem}-{times}-times")
    if not file.exists():
        partial = file.with_suffix(".partial")
        with av.open(str(recording.file)) as source, av.open(str(partial), "w", format="ipod") as target:
            track = source.streams.audio[0]
            stream, end = target.add_stream_from_template(track), 0
            for _ in range(times):
                source.seek(0)
                end = _copy(source, target, stream, end)
        partial.replace(file)
    return Recording(file, recording.duration_s * times, recording.utterances * times)


def _copy(source: InputContainer, target: OutputContainer, stream: AudioStream, start: int) -> int:
    """Copies all packets so that the first is at `start`; returns the end, in the stream's time base."""
    shift: int | None = None
    end = start
    for packet in source.demux(audio=0):
        if packet.pts is None:
            continue  # the empty packet at the end
        shift = start - packet.pts if shift is None else shift
        packet.pts = packet.dts = packet.pts + shift
        end = packet.pts + (packet.duration or 0)
        packet.stream = stream
        target.mux(packet)
    return end


def _frames(pcm: np.ndarray) -> Iterator[av.AudioFrame]:
    for start in range(0, len(pcm), _FRAME_SAMPLES):
        piece = np.ascontiguousarray(pcm[start : start + _FRAME_SAMPLES])
        frame = av.AudioFrame.from_ndarray(piece[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, start
        yield frame


def _write(file: Path, content: bytes) -> None:
    """Writes a temporary file and renames it, so that an interrupted run leaves no incomplete recording."""
    partial = file.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(file)

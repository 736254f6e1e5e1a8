"""Synthetic sound: espeak-ng speech, noise, music and the distortion of a telephone line or a codec.

All signals are float32, (samples,), 16 kHz mono, nominally in [-1, 1].
"""

from __future__ import annotations

import io
import random
import subprocess

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

Signal = npt.NDArray[np.float32]

SAMPLE_RATE_HZ = 16_000
ESPEAK_SAMPLE_RATE_HZ = 22_050
# espeak-ng --stdout writes a RIFF header of fixed length with empty size fields.
ESPEAK_HEADER_BYTES = 44
NOISE_EXPONENTS = {"white": 0.0, "pink": 0.5, "brown": 1.0}
PENTATONIC_HZ = tuple(220.0 * 2 ** (semitone / 12) for semitone in (0, 2, 4, 7, 9, 12, 14, 16))


def synthesise(text: str, voice: str, *, speed_wpm: int, pitch: int = 50, gap_10ms: int = 0) -> Signal:
    """Speaks `text` with espeak-ng at its natural level; pitch 0 to 99, gap between words in units of 10 ms."""
    command = ["espeak-ng", "-v", voice, "-s", str(speed_wpm), "-p", str(pitch), "-g", str(gap_10ms)]
    wav = subprocess.run([*command, "--stdout", text], capture_output=True, check=True).stdout
    pcm = np.frombuffer(wav[ESPEAK_HEADER_BYTES:], dtype="<i2").astype(np.float32) / 32768
    return soxr.resample(pcm, ESPEAK_SAMPLE_RATE_HZ, SAMPLE_RATE_HZ).astype(np.float32)


def silence(duration_s: float) -> Signal:
    return np.zeros(round(duration_s * SAMPLE_RATE_HZ), dtype=np.float32)


def with_silence(signal: Signal, before_s: float, after_s: float) -> Signal:
    return np.concatenate([silence(before_s), signal, silence(after_s)])


def noise(samples: int, rng: random.Random, colour: str | None = None) -> Signal:
    """White, pink or brown noise with a root mean square of 1."""
    colour = colour or rng.choice(sorted(NOISE_EXPONENTS))
    white = np.random.default_rng(rng.getrandbits(32)).standard_normal(samples)
    spectrum = np.fft.rfft(white)
    spectrum /= np.arange(1, len(spectrum) + 1) ** NOISE_EXPONENTS[colour]
    return _unit_rms(np.fft.irfft(spectrum, samples))


def music(samples: int, rng: random.Random) -> Signal:
    """Random decaying chords of one to three notes with overtones, root mean square 1."""
    signal = np.zeros(samples)
    start = 0
    while start < samples:
        length = int(rng.uniform(0.15, 0.6) * SAMPLE_RATE_HZ)
        time_s = np.arange(min(length, samples - start)) / SAMPLE_RATE_HZ
        for pitch_hz in rng.sample(PENTATONIC_HZ, rng.randint(1, 3)):
            envelope = np.exp(-time_s * rng.uniform(1, 5))
            for overtone, level in ((1, 1.0), (2, 0.5), (3, 0.25)):
                tone = np.sin(2 * np.pi * pitch_hz * overtone * time_s)
                signal[start : start + len(time_s)] += level * envelope * tone
        start += length
    return _unit_rms(signal)


def mix(signal: Signal, background: Signal, snr_db: float) -> Signal:
    """Adds a background of unit RMS to `signal`, `snr_db` below the level of its audible part."""
    audible = signal[np.abs(signal) > 1e-3]
    level = float(np.sqrt(np.mean(audible**2))) if len(audible) else 0.0
    return signal + background * np.float32(level * 10 ** (-snr_db / 20))


def through_8khz(signal: Signal, resampler: str) -> Signal:
    """Records `signal` with 16 bits at 8 kHz and converts it back to 16 kHz.

    `resampler` is soxr's quality for the way back, from "HQ", which leaves nothing above 4 kHz, to "QQ", which
    leaves a mirror image there.
    """
    narrow = as_pcm16(soxr.resample(signal, SAMPLE_RATE_HZ, SAMPLE_RATE_HZ // 2))
    wide = soxr.resample(narrow, SAMPLE_RATE_HZ // 2, SAMPLE_RATE_HZ, quality=resampler)
    return wide.astype(np.float32)


def through_codec(signal: Signal, codec: str) -> Signal:
    """Encodes and decodes `signal`; `codec` is "mp3" or "opus"."""
    encoded = io.BytesIO()
    if codec == "mp3":
        soundfile.write(encoded, signal, SAMPLE_RATE_HZ, format="MP3")
    else:
        soundfile.write(encoded, signal, SAMPLE_RATE_HZ, format="OGG", subtype="OPUS")
    encoded.seek(0)
    return soundfile.read(encoded, dtype="float32")[0]


def scaled_to_peak(signal: Signal, peak: float) -> Signal:
    return signal * np.float32(peak / (np.abs(signal).max() + 1e-6))


def as_pcm16(signal: Signal) -> Signal:
    """Clips `signal` to [-1, 1] and rounds it to 16 bits, as in a WAV file."""
    return (np.round(np.clip(signal, -1, 1) * 32767) / 32768).astype(np.float32)


def _unit_rms(signal: npt.NDArray[np.float64]) -> Signal:
    return (signal / (np.sqrt(np.mean(signal**2)) + 1e-8)).astype(np.float32)

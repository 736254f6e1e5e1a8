"""Recordings become 16 kHz mono, and joined ones know where each lies."""

import numpy as np
import soundfile
from rapl_bench.real.recordings import RealRecording, joined
from rapl_protocol.audio import WavAudio


def recording(folder, name: str, rate_hz: int, channels: int = 1) -> RealRecording:
    """A second of a tone."""
    tone = 0.3 * np.sin(np.arange(rate_hz) / rate_hz * 2 * np.pi * 300)
    soundfile.write(folder / name, np.repeat(tone[:, None], channels, axis=1), rate_hz)
    return RealRecording(name, "test", "en", f"the words of {name}", folder / name)


def test_a_recording_of_another_rate_and_layout_becomes_canonical_wav(tmp_path):
    audio = WavAudio.from_wav(recording(tmp_path, "a.wav", 44_100, channels=2).wav())

    assert abs(audio.duration_s - 1.0) < 0.01


def test_joined_recordings_have_their_places_their_pauses_and_their_text(tmp_path):
    parts = [recording(tmp_path, "a.wav", 8_000), recording(tmp_path, "b.wav", 16_000)]

    whole = joined(parts, (0.5, 0.7))

    assert whole.reference == "the words of a.wav the words of b.wav"
    assert [part for part, _, _ in whole.places] == parts
    for _, start_s, end_s in whole.places:
        inside = whole.pcm[round(start_s * 16_000) : round(end_s * 16_000)]
        assert np.abs(inside).max() > 5_000
        assert not whole.pcm[round((start_s - 0.4) * 16_000) : round(start_s * 16_000)].any()

"""Live audio is converted to the same samples in any pieces, and from any place where it is resumed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapl_preprocess.live.conversion import Conversion, g711_table
from rapl_protocol.live_audio import AudioEncoding, LiveOptions

RATES = [8_000, 11_025, 16_000, 24_000, 44_100, 44_101, 48_000, 192_000]


def noise(rate_hz: int, duration_s: float = 1.5) -> bytes:
    samples = np.random.default_rng(1).standard_normal(round(rate_hz * duration_s)) * 8_000
    return samples.clip(-32_768, 32_767).astype("<i2").tobytes()


def options_of(encoding: AudioEncoding, rate_hz: int = 8_000) -> LiveOptions:
    return LiveOptions(encoding=encoding, rate_hz=rate_hz)


def converted(options: LiveOptions, audio: bytes) -> bytes:
    conversion = Conversion(options)
    return conversion.add(audio) + conversion.finish()


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(RATES), st.lists(st.integers(1, 9_001), min_size=1, max_size=20), st.sampled_from(AudioEncoding))
def test_the_pieces_in_which_audio_comes_change_no_sample(rate_hz: int, sizes: list[int], encoding: AudioEncoding):
    options = options_of(encoding, rate_hz if encoding is AudioEncoding.PCM16 else 8_000)
    audio = noise(8_000)
    conversion, at, pieces = Conversion(options), 0, list[bytes]()
    for size in [*sizes, len(audio)]:
        pieces.append(conversion.add(audio[at : at + size]))
        at += size

    assert b"".join([*pieces, conversion.finish()]) == converted(options, audio)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(RATES), st.integers(0, 23_000))
def test_a_conversion_that_begins_at_its_restart_point_gives_the_same_samples(rate_hz: int, sample: int):
    options, audio = LiveOptions(rate_hz=rate_hz), noise(rate_hz)
    byte, first_sample = Conversion(options).restart_point(sample)
    restarted = Conversion(options, byte, first_sample, sample - first_sample)

    assert restarted.add(audio[byte:]) + restarted.finish() == converted(options, audio)[2 * sample :]


@pytest.mark.parametrize("rate_hz", RATES)
def test_a_second_stays_a_second_and_a_tone_keeps_its_frequency(rate_hz: int):
    tone = 10_000 * np.sin(2 * np.pi * 1_000 * np.arange(rate_hz) / rate_hz)
    samples = np.frombuffer(converted(LiveOptions(rate_hz=rate_hz), tone.astype("<i2").tobytes()), "<i2")

    assert len(samples) == 16_000
    assert np.abs(np.fft.rfft(samples)).argmax() == 1_000
    assert np.abs(samples).max() == pytest.approx(10_000, rel=0.02)


@pytest.mark.parametrize(
    ("encoding", "known"),
    [
        (AudioEncoding.PCMU, {0xFF: 0, 0x7F: 0, 0x80: 32_124, 0x00: -32_124, 0xF0: 120}),
        (AudioEncoding.PCMA, {0xD5: 8, 0x55: -8, 0xAA: 32_256, 0x2A: -32_256}),
    ],
)
def test_g711_bytes_have_the_samples_of_the_standard(encoding: AudioEncoding, known: dict[int, int]):
    """Source: ITU-T G.711, tables 1 and 2, scaled to 16 bits."""
    table = g711_table(encoding)

    assert {byte: int(table[byte]) for byte in known} == known
    assert len(set(table.tolist())) == (255 if encoding is AudioEncoding.PCMU else 256)


def test_half_a_sample_waits_for_its_other_half():
    conversion = Conversion(LiveOptions(rate_hz=16_000))

    assert [conversion.add(piece) for piece in (b"\x01", b"", b"\x02\x03", b"\x04")] == [b"", b"", b"\1\2", b"\3\4"]

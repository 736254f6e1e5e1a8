"""Long recordings with known words and times: spoken digits with pauses and faint noise."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO

import av
import numpy as np
from av.audio.resampler import AudioResampler
from spoken import say

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PAUSES_S = (0.8, 4.0)
SHORT_PAUSES_S = (0.8, 1.8)
"""Too short to end a segment."""
NOISE = 12.0
"""Standard deviation of the noise, of 32768: 68 dB below full scale."""


@dataclass(frozen=True)
class Utterance:
    text: str
    """The digits, as the self-test model writes them."""
    pcm: bytes
    """16 kHz mono s16le, without silence at the ends."""


@dataclass(frozen=True)
class Recording:
    m4a: bytes
    duration_s: float
    utterances: tuple[tuple[str, float, float], ...]
    """(text, start_s, end_s) of each utterance."""


def spoken_digits(count: int, seed: int = 1) -> list[Utterance]:
    """Utterances of two to six digits, at several speeds."""
    choose = random.Random(seed)
    made = []
    for _ in range(count):
        digits = [choose.randrange(10) for _ in range(choose.randint(2, 6))]
        pcm = say(" ".join(DIGITS[digit] for digit in digits), words_per_minute=choose.choice((150, 160, 170)))
        made.append(Utterance(" ".join(map(str, digits)), pcm))
    return made


def recording(
    utterances: Sequence[Utterance], duration_s: float, seed: int = 1, pauses_s: tuple[float, float] = PAUSES_S
) -> Recording:
    """Utterances in a random order, up to about `duration_s`, as AAC."""
    choose = random.Random(seed)
    pieces: list[bytes] = []
    placed: list[tuple[str, float, float]] = []
    at_s = 0.0
    while at_s < duration_s:
        pause = bytes(2 * int(choose.uniform(*pauses_s) * 16_000))
        utterance = choose.choice(utterances)
        start_s = at_s + len(pause) / 32_000
        at_s = start_s + len(utterance.pcm) / 32_000
        placed.append((utterance.text, start_s, at_s))
        pieces += [pause, utterance.pcm]
    return Recording(_encoded(pieces, seed), at_s, tuple(placed))


def _encoded(pieces: Sequence[bytes], seed: int) -> bytes:
    file = BytesIO()
    with av.open(file, "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        codec = stream.codec_context
        resampler = AudioResampler(codec.format, codec.layout, 16_000, frame_size=1024)
        for frame in _frames(pieces, np.random.default_rng(seed)):
            for ready in resampler.resample(frame):
                container.mux(stream.encode(ready))
        for ready in resampler.resample(None):
            container.mux(stream.encode(ready))
        container.mux(stream.encode(None))
    return file.getvalue()


def _frames(pieces: Sequence[bytes], noise: np.random.Generator) -> Iterator[av.AudioFrame]:
    at = 0
    for piece in pieces:
        samples = np.frombuffer(piece, np.int16) + noise.normal(0, NOISE, len(piece) // 2)
        clipped = samples.round().clip(-32768, 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(clipped[None], format="s16", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = 16_000, Fraction(1, 16_000), at
        at += len(clipped)
        yield frame

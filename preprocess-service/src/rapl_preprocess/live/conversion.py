"""Converts audio that arrives in pieces of any length to 16 kHz mono s16le."""

from functools import cache
from math import gcd
from typing import cast

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from rapl_protocol.audio import SAMPLE_RATE_HZ, SAMPLE_WIDTH_BYTES
from rapl_protocol.live_audio import AudioEncoding, LiveOptions

from rapl_preprocess.media.resampler import SampleResampler

_DECODERS = {AudioEncoding.PCMU: "pcm_mulaw", AudioEncoding.PCMA: "pcm_alaw"}
_FILTER_SAMPLES = 64
"""More samples than a filter of libswresample reaches back, at the lower one of the two rates. Its default is 32.
Source: https://ffmpeg.org/ffmpeg-resampler.html, `filter_size`"""


class Conversion:
    """The audio in one format, from one place of a session on.

    The output does not depend on the pieces in which the audio arrives, and is the same from another beginning, after
    the first samples: `restart_point` says where that beginning may be.

    Args:
        options: the format.
        first_byte: where the audio begins, in bytes since the session's start.
        first_sample: the same place in the output, in samples at 16 kHz.
        skipped: how many samples of the output are left out at its start.
    """

    def __init__(self, options: LiveOptions, first_byte: int = 0, first_sample: int = 0, skipped: int = 0) -> None:
        self.first_byte, self.first_sample = first_byte, first_sample
        self._options = options
        self.half_sample = b""
        """The bytes so far that are not part of a whole sample."""
        self._skipped_bytes = skipped * SAMPLE_WIDTH_BYTES
        self._resampler = SampleResampler(options.rate_hz) if options.rate_hz != SAMPLE_RATE_HZ else None
        divisor = gcd(options.rate_hz, SAMPLE_RATE_HZ)
        self._period = options.rate_hz // divisor, SAMPLE_RATE_HZ // divisor
        """So many samples in and out, after which the resampler is in the same phase again."""

    def add(self, audio: bytes) -> bytes:
        """Returns the output that is complete."""
        audio = self.half_sample + audio
        whole = len(audio) // self._options.encoding.sample_bytes * self._options.encoding.sample_bytes
        self.half_sample = audio[whole:]
        samples = self._decoded(audio[:whole])
        if self._resampler and len(samples):
            return self._kept(self._resampler.resample(samples))
        return self._kept(b"" if self._resampler else samples.tobytes())

    def finish(self) -> bytes:
        """Returns the rest of the output. `add` must not be called after it."""
        return self._kept(self._resampler.flush() if self._resampler else b"")

    def restart_point(self, sample: int) -> tuple[int, int]:
        """Returns where another conversion must begin, so that its output is the same from `sample` on.

        Returns:
            The place in bytes since the session's start, and the same place in the output, in samples at 16 kHz.
        """
        samples_in, samples_out = self._period
        reach = _FILTER_SAMPLES * max(1, SAMPLE_RATE_HZ / self._options.rate_hz) if self._resampler else 0
        periods = max(0, int((sample - self.first_sample - reach) // samples_out))
        byte = self.first_byte + periods * samples_in * self._options.encoding.sample_bytes
        return byte, self.first_sample + periods * samples_out

    def _decoded(self, audio: bytes) -> np.ndarray:
        """int16, (samples,)"""
        if self._options.encoding is AudioEncoding.PCM16:
            return np.frombuffer(audio, "<i2")
        return g711_table(self._options.encoding)[np.frombuffer(audio, np.uint8)]

    def _kept(self, pcm: bytes) -> bytes:
        skipped = min(self._skipped_bytes, len(pcm))
        self._skipped_bytes -= skipped
        return pcm[skipped:]


@cache
def g711_table(encoding: AudioEncoding) -> np.ndarray:
    """The sample for each of the 256 bytes, as FFmpeg's libraries decode it; int16, (256,)."""
    decoder = cast("AudioCodecContext", av.CodecContext.create(_DECODERS[encoding], "r"))
    decoder.sample_rate, decoder.layout = 8_000, "mono"
    frames = [cast("AudioFrame", frame) for frame in decoder.decode(av.Packet(bytes(range(256))))]
    return np.concatenate([frame.to_ndarray().ravel() for frame in frames]).astype("<i2")

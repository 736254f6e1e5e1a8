"""Turns decoded frames into 16 kHz mono PCM, with silence where the file's timestamps have gaps."""

from collections.abc import Iterator

from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from rapl_protocol.audio import BYTES_PER_SECOND, SAMPLE_RATE_HZ, SAMPLE_WIDTH_BYTES

from rapl_preprocess.media.channels import MAX_CHANNELS
from rapl_preprocess.media.containers import undecodable
from rapl_preprocess.media.resampler import Resampler

GAP_S = 0.1
"""If a timestamp is ahead of the samples by more than this, audio is missing. A smaller difference is jitter.

Source: `min_hard_comp` of https://ffmpeg.org/ffmpeg-resampler.html
"""
MAX_SILENCE_S = 3600.0
"""Most silence that the timestamps of a file may add, in seconds. One wrong byte made a 1 s avi 3.4 hours long."""
SAMPLE_RATES_HZ = range(2_000, 768_001)
"""Sample rates that are accepted. A WAV header with 1.6 GHz kept the resampler busy for 35 s."""
_BLOCK_SAMPLES = 8192
"""Samples in one call of the resampler. 5 s of audio take 1.9 ms; in AAC frames of 1024 samples they took 3.1 ms,
mostly for the calls."""
_SILENT_SECOND = bytes(BYTES_PER_SECOND)


class Track:
    """Converts one audio stream to 16 kHz mono s16le.

    Silence replaces missing audio, so that the rest keeps its time. Audio is never dropped: if the timestamps fall
    behind the samples, the audio continues without a gap.

    Args:
        origin_s: the timestamp that is time 0.
        max_gap_s: a longer jump of the timestamps is the start of a new clock and adds no silence.
        has_clock: False if the file stores no timestamps. They are then counted from the packets, which is wrong after
            a change of the sample rate.
    """

    def __init__(self, origin_s: float, max_gap_s: float = MAX_SILENCE_S, has_clock: bool = True) -> None:
        self.origin_s = origin_s
        """The timestamp that is time 0. It changes if the timestamps jump."""
        self.max_gap_s = max_gap_s
        """A longer jump of the timestamps is the start of a new clock."""
        self._has_clock = has_clock
        self._silence_left_s = MAX_SILENCE_S
        self.position_s = 0.0
        """End of the audio and silence so far."""
        self.silence_s = 0.0
        """Total duration of the silence that was added."""
        self._samples_out = 0
        self._has_begun = False
        self._shape: tuple[str, str, int] | None = None
        self._resampler: Resampler | None = None
        self._waiting = AudioFifo()

    def add(self, frame: AudioFrame, lost_s: float = 0.0) -> Iterator[bytes]:
        """Yields PCM for `frame`, and the silence before it.

        Args:
            frame: a decoded frame; its rate, layout and sample format may differ from those of the previous frame.
            lost_s: total duration of the broken packets before it. A packet without a duration counts as 0.
        """
        if not frame.sample_rate or not frame.samples:
            return
        gap_s = self._gap_s(frame, lost_s)
        if gap_s > 0:
            yield from self._silence(gap_s)
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape != self._shape:
            if frame.sample_rate not in SAMPLE_RATES_HZ:
                raise undecodable(f"The file's sample rate of {frame.sample_rate} Hz is not supported.")
            if frame.layout.nb_channels > MAX_CHANNELS:
                raise undecodable(f"The file's {frame.layout.nb_channels} channels are more than can be mixed.")
            yield from self.finish()
            self._shape = shape
        self.position_s += frame.samples / frame.sample_rate
        frame.pts = None  # otherwise the queue compares it with its own sample count
        self._waiting.write(frame)
        if self._waiting.samples >= _BLOCK_SAMPLES:
            yield from self._resampled()

    def finish(self) -> Iterator[bytes]:
        """Yields the last samples of the stream."""
        yield from self._resampled()
        if self._resampler:
            yield from self._pcm(self._resampler.flush())
        self._shape, self._resampler, self._waiting = None, None, AudioFifo()

    def _resampled(self) -> Iterator[bytes]:
        block = self._waiting.read()
        if block is None:
            return
        self._resampler = self._resampler or Resampler(block)
        yield from self._pcm(self._resampler.resample(block))

    def _gap_s(self, frame: AudioFrame, lost_s: float) -> float:
        """Returns the duration of the audio that is missing before `frame`, or 0.0."""
        if frame.time is None or not self._has_clock:
            return min(lost_s, self._silence_left_s)
        is_first, self._has_begun = not self._has_begun, True
        lag_s = frame.time - self.origin_s - self.position_s
        tolerance_s = min(GAP_S, lost_s / 2) if lost_s else GAP_S
        if abs(lag_s) > min(self.max_gap_s, self._silence_left_s) or (is_first and lag_s < tolerance_s):
            self.origin_s += lag_s
            return 0.0
        return lag_s if lag_s > tolerance_s else 0.0

    def _silence(self, gap_s: float) -> Iterator[bytes]:
        yield from self.finish()
        self.position_s += gap_s
        self._silence_left_s -= gap_s
        self.silence_s += gap_s
        missing_bytes = (round(self.position_s * SAMPLE_RATE_HZ) - self._samples_out) * SAMPLE_WIDTH_BYTES
        while missing_bytes > 0:
            piece = _SILENT_SECOND[:missing_bytes]
            missing_bytes -= len(piece)
            self._samples_out += len(piece) // SAMPLE_WIDTH_BYTES
            yield piece

    def _pcm(self, frames: list[AudioFrame]) -> Iterator[bytes]:
        for frame in frames:
            self._samples_out += frame.samples
            # A plane has padding for alignment after the samples.
            yield bytes(memoryview(frame.planes[0])[: frame.samples * SAMPLE_WIDTH_BYTES])

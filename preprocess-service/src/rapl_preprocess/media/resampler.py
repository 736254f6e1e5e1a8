"""Mixes the channels, and resamples to 16 kHz mono s16 with FFmpeg's libraries, in the calling thread.

PyAV's AudioResampler starts one thread for each core, which takes longer than resampling a short clip.
"""

import numpy as np
from av.audio.frame import AudioFrame
from av.error import BlockingIOError, EOFError
from av.filter import Graph
from rapl_protocol.audio import SAMPLE_RATE_HZ

from rapl_preprocess.media.channels import ChannelMixer

_FORMAT, _LAYOUT = "s16", "mono"
_MIXED_FORMAT = "fltp"
_ONE_CHANNEL = frozenset({"mono", "1 channels"})
"""Layouts that need no mixing. A single channel that is called a bass channel does: FFmpeg would drop it."""


class Resampler:
    """Resamples frames that have the rate, layout and sample format of the first one."""

    def __init__(self, first: AudioFrame) -> None:
        shape = (first.format.name, first.layout.name, first.sample_rate)
        self._mixer = None if shape[1] in _ONE_CHANNEL else ChannelMixer(first)
        if self._mixer and not self._mixer.keeps_stereo:
            shape = (_MIXED_FORMAT, _LAYOUT, first.sample_rate)
        self._graph = None if shape == (_FORMAT, _LAYOUT, SAMPLE_RATE_HZ) else _graph(*shape)

    def resample(self, frame: AudioFrame) -> list[AudioFrame]:
        """Returns the samples that are complete. The samples of `frame` may be changed."""
        if self._graph is None:
            return [frame]
        self._graph.push(self._mixer.mixed(frame) if self._mixer else frame)
        return _pulled(self._graph)

    def flush(self) -> list[AudioFrame]:
        """Returns the last samples. `resample` must not be called after it."""
        if self._graph is None:
            return []
        self._graph.push(None)
        return _pulled(self._graph)


class SampleResampler:
    """Resamples mono s16le that arrives in pieces. It takes 70 to 340 kB, and 10 us for a piece.

    Args:
        rate_hz: the sample rate of the input; another one than SAMPLE_RATE_HZ.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._graph = _graph(_FORMAT, _LAYOUT, rate_hz)

    def resample(self, samples: np.ndarray) -> bytes:
        """Returns the samples that are complete, s16le. The input is int16, (samples,), and not empty."""
        frame = AudioFrame.from_ndarray(samples[None], format=_FORMAT, layout=_LAYOUT)
        frame.sample_rate = self._rate_hz
        self._graph.push(frame)
        return self._pulled()

    def flush(self) -> bytes:
        """Returns the last samples. `resample` must not be called after it."""
        self._graph.push(None)
        return self._pulled()

    def _pulled(self) -> bytes:
        return b"".join(frame.to_ndarray().tobytes() for frame in _pulled(self._graph))


def _pulled(graph: Graph) -> list[AudioFrame]:
    frames = []
    while True:
        try:
            frames.append(graph.pull())
        except (BlockingIOError, EOFError):
            return frames


def _graph(sample_format: str, layout: str, rate_hz: int) -> Graph:
    graph = Graph()
    graph.threads = 1
    source = graph.add(
        "abuffer",
        sample_rate=str(rate_hz),
        sample_fmt=sample_format,
        channel_layout=layout,
        time_base=f"1/{rate_hz}",
    )
    target = graph.add("aformat", sample_rates=str(SAMPLE_RATE_HZ), sample_fmts=_FORMAT, channel_layouts=_LAYOUT)
    sink = graph.add("abuffersink")
    source.link_to(target)
    target.link_to(sink)
    graph.configure()
    return graph

"""How likely each 32 ms of audio are speech, says Silero VAD.

Source: https://github.com/snakers4/silero-vad (MIT). Of its package only the weights are used: its code imports torch.
The network is small enough to be a handful of matrix products, see `silero_network`.
"""

from importlib.metadata import distribution
from pathlib import Path
from typing import Self

import numpy as np
from threadpoolctl import threadpool_limits

from rapl_preprocess.speech.onnx_tensors import float_tensors
from rapl_preprocess.speech.silero_network import CONTEXT_SAMPLES, FRAME_SAMPLES, Network

BLOCK_FRAMES = 32
"""About a second. The network takes hardly less time per frame with more of them, and its buffers stay in the cache."""
BLOCK_SAMPLES = BLOCK_FRAMES * FRAME_SAMPLES
_WEIGHTS = "silero_vad/data/silero_vad_16k_sequence.onnx"


class SpeechModel:
    """The weights, shared by all threads."""

    def __init__(self, network: Network) -> None:
        self.network = network

    @classmethod
    def load(cls) -> Self:
        """Takes about 10 ms, and lets numpy use one thread from then on: files are what runs side by side."""
        threadpool_limits(1, user_api="blas")
        path = Path(str(distribution("silero-vad").locate_file(_WEIGHTS)))
        return cls(Network(float_tensors(path.read_bytes())))

    def listen(self) -> "SpeechListener":
        return SpeechListener(self.network)


class SpeechListener:
    """Hears one source from its start to its end, block after block."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._normalizer = LoudnessNormalizer()
        self._context = np.zeros(CONTEXT_SAMPLES, np.float32)
        self._state = network.initial_state()

    def probabilities(self, pcm: bytes | memoryview) -> list[float]:
        """Of speech, for each frame.

        Args:
            pcm: s16le; BLOCK_SAMPLES, or fewer at the end, where silence fills up the last frame.
        """
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
        samples = np.pad(samples, (0, -len(samples) % FRAME_SAMPLES))
        frames = self._normalizer.normalized(samples.reshape(-1, FRAME_SAMPLES))
        tails = frames[:, -CONTEXT_SAMPLES:]
        contexts = np.vstack((self._context, tails[:-1]))
        self._context = tails[-1].copy()
        return self._network.probabilities(np.hstack((contexts, frames)), self._state).tolist()


class LoudnessNormalizer:
    """Makes quiet audio louder for the model: it is told speech from noise at -20 dBFS better than at -60."""

    TARGET_RMS = 0.1
    """-20 dBFS, the level of the loudest 32 ms."""
    MAX_GAIN = 30.0
    """30 dB: what is quieter than -50 dBFS stays below the target."""
    DECAY = 0.7
    """How much of the level is kept from one block to the next: 3 dB a second, so that pauses are not raised."""

    def __init__(self) -> None:
        self._level = 0.0

    def normalized(self, frames: np.ndarray) -> np.ndarray:
        """float32, (frames, samples), in and out; never quieter than it was."""
        loudest = float(np.sqrt(np.square(frames).mean(axis=1).max()))
        self._level = max(loudest, self._level * self.DECAY, self.TARGET_RMS / self.MAX_GAIN)
        return frames * max(1.0, self.TARGET_RMS / self._level)

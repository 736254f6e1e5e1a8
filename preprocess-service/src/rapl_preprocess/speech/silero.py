"""Silero VAD: the probability of speech for each 32 ms of audio.

Source: https://github.com/snakers4/silero-vad (MIT). Only the weights of its package are used, because its code
imports torch. `silero_network` computes the network.
"""

from importlib.metadata import distribution
from pathlib import Path
from typing import Self

import numpy as np
from threadpoolctl import threadpool_limits

from rapl_preprocess.speech.onnx_tensors import float_tensors
from rapl_preprocess.speech.silero_network import CONTEXT_SAMPLES, FRAME_SAMPLES, LstmState, Network

BLOCK_FRAMES = 32
"""Frames in a block: about a second. A larger block is hardly faster per frame, and its buffers do not fit into the CPU
cache."""
BLOCK_SAMPLES = BLOCK_FRAMES * FRAME_SAMPLES
_WEIGHTS = "silero_vad/data/silero_vad_16k_sequence.onnx"


class SpeechModel:
    """The network with its weights, shared by all threads."""

    def __init__(self, network: Network) -> None:
        self.network = network

    @classmethod
    def load(cls) -> Self:
        """Loads the weights in about 10 ms.

        It also limits numpy to one thread, because several files are processed in parallel.
        """
        threadpool_limits(1, user_api="blas")
        path = Path(str(distribution("silero-vad").locate_file(_WEIGHTS)))
        return cls(Network(float_tensors(path.read_bytes())))

    def listen(self) -> "SpeechListener":
        return SpeechListener(self.network)


class SpeechListener:
    """Processes one source from its start to its end, block by block."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._normalizer = LoudnessNormalizer()
        self._context = np.zeros(CONTEXT_SAMPLES, np.float32)
        self._state = LstmState()

    def probabilities(self, pcm: bytes | memoryview) -> list[float]:
        """The probability of speech for each frame.

        Args:
            pcm: s16le; BLOCK_SAMPLES, or fewer at the end of the source. The last frame is padded with silence.
        """
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
        samples = np.pad(samples, (0, -len(samples) % FRAME_SAMPLES))
        frames = self._normalizer.normalized(samples.reshape(-1, FRAME_SAMPLES))
        tails = frames[:, -CONTEXT_SAMPLES:]
        contexts = np.vstack((self._context, tails[:-1]))
        self._context = tails[-1].copy()
        return self._network.probabilities(np.hstack((contexts, frames)), self._state).tolist()


class LoudnessNormalizer:
    """Amplifies quiet audio for the model, which detects speech at -20 dBFS better than at -60."""

    TARGET_RMS = 0.1
    """-20 dBFS: the target for the loudest frame of a block."""
    MAX_GAIN = 30.0
    """30 dB: audio below -50 dBFS stays below the target."""
    DECAY = 0.7
    """Factor of the level from one block to the next: 3 dB each second, so that pauses are not amplified."""

    def __init__(self) -> None:
        self._level = 0.0

    def normalized(self, frames: np.ndarray) -> np.ndarray:
        """Amplifies the frames of a block; float32, (frames, samples). It never attenuates."""
        loudest = float(np.sqrt(np.square(frames).mean(axis=1).max()))
        self._level = max(loudest, self._level * self.DECAY, self.TARGET_RMS / self.MAX_GAIN)
        return frames * self.gain_at(self._level)

    @classmethod
    def gain_at(cls, level: float) -> float:
        return max(1.0, cls.TARGET_RMS / level)

"""How likely each 32 ms of audio are speech, says Silero VAD.

Source: https://github.com/snakers4/silero-vad (MIT). Of its package only the weights are used: its code imports torch.
"""

from importlib.metadata import distribution
from typing import Self

import numpy as np
import onnxruntime

FRAME_SAMPLES = 512
"""What the model judges at once."""
BLOCK_FRAMES = 32
"""About a second. The model takes as long per frame with 32 of them as with 512 (55 us), one by one longer."""
BLOCK_SAMPLES = BLOCK_FRAMES * FRAME_SAMPLES
_CONTEXT_SAMPLES = 64
"""Of the frame before, which the model sees with each frame."""
_WEIGHTS = "silero_vad/data/silero_vad_16k_sequence.onnx"
"""The form that takes many frames in one call, and gives the same probabilities as the one that takes one.

Source: https://github.com/snakers4/silero-vad/pull/784
"""


class SpeechModel:
    """The weights, shared by all threads: a session of onnxruntime may run in several at once."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session

    @classmethod
    def load(cls) -> Self:
        """Takes about 10 ms."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # files are what runs side by side
        path = str(distribution("silero-vad").locate_file(_WEIGHTS))
        return cls(onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]))

    def listen(self) -> "Listener":
        return Listener(self._session)


class Listener:
    """Hears one source from its start to its end, block after block."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._loudness = Loudness()
        self._context = np.zeros(_CONTEXT_SAMPLES, np.float32)
        self._hidden = self._cell = np.zeros((1, 1, 128), np.float32)

    def probabilities(self, pcm: bytes | memoryview) -> list[float]:
        """Of speech, for each frame; the interpreter's lock is free meanwhile.

        Args:
            pcm: s16le; BLOCK_SAMPLES, or fewer at the end, where silence fills up the last frame.
        """
        samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
        samples = np.pad(samples, (0, -len(samples) % FRAME_SAMPLES))
        frames = self._loudness.levelled(samples.reshape(-1, FRAME_SAMPLES))
        tails = frames[:, -_CONTEXT_SAMPLES:]
        contexts = np.vstack((self._context, tails[:-1]))
        self._context = tails[-1].copy()
        inputs = {"input": np.hstack((contexts, frames)), "h": self._hidden, "c": self._cell}
        speech, self._hidden, self._cell = self._session.run(["speech_probs", "hn", "cn"], inputs)
        return speech.ravel().tolist()


class Loudness:
    """Makes quiet audio louder for the model: it is told speech from noise at -20 dBFS better than at -60."""

    TARGET = 0.1
    """-20 dBFS, the level of the loudest 32 ms."""
    MAX_GAIN = 30.0
    """30 dB: what is quieter than -50 dBFS stays below the target."""
    FALL = 0.7
    """How much of the level is kept from one block to the next: 3 dB a second, so that pauses are not raised."""

    def __init__(self) -> None:
        self._level = 0.0

    def levelled(self, frames: np.ndarray) -> np.ndarray:
        """float32, (frames, samples), in and out; never quieter than it was."""
        loudest = float(np.sqrt(np.square(frames).mean(axis=1).max()))
        self._level = max(loudest, self._level * self.FALL, self.TARGET / self.MAX_GAIN)
        return frames * max(1.0, self.TARGET / self._level)

"""`rapl_protocol.segmentation.quietest_point` with numpy: 5 s of audio take 0.1 ms instead of 4 ms."""

import numpy as np
from rapl_protocol.audio import SAMPLE_WIDTH_BYTES
from rapl_protocol.segmentation import PAUSE_FRAMES, QUIET_FRAME_SAMPLES


def quietest_point(pcm: bytes | memoryview) -> int:
    """Returns the byte offset of the middle of the quietest tenth of a second.

    If several are equally quiet, it is the last one, so that the segment becomes as long as possible.

    Args:
        pcm: 16 kHz mono s16le, at least a tenth of a second.
    """
    samples = np.frombuffer(pcm, "<i2")
    frames = samples[: len(samples) // QUIET_FRAME_SAMPLES * QUIET_FRAME_SAMPLES].reshape(-1, QUIET_FRAME_SAMPLES)
    loudness = np.abs(frames, dtype=np.int32).sum(axis=1)
    pauses = np.convolve(loudness, np.ones(PAUSE_FRAMES, loudness.dtype), "valid")
    quietest = len(pauses) - 1 - int(pauses[::-1].argmin())
    return (quietest * QUIET_FRAME_SAMPLES + PAUSE_FRAMES * QUIET_FRAME_SAMPLES // 2) * SAMPLE_WIDTH_BYTES

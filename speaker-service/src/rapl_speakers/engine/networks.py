"""Both networks: loaded from their weights, and what they say about a window of audio."""

from dataclasses import dataclass

import numpy as np
from rapl_protocol.audio import WavAudio

from rapl_speakers.engine.people import Rules
from rapl_speakers.engine.pieces import VoicePiece, pieces_of
from rapl_speakers.engine.windows import Window, Windows
from rapl_speakers.networks.campplus import campplus_graph
from rapl_speakers.networks.checkpoint import Floats, read_checkpoint
from rapl_speakers.networks.compiled import SegmentationNetwork, VoiceNetwork, log_mel
from rapl_speakers.networks.segmentation import segmentation_graph
from rapl_speakers.weights import PREPARE, SpeakerWeights, WeightsUnusable

_MEL_PER_S = 100


@dataclass(frozen=True, slots=True)
class Networks:
    """Both networks. One thread may use them at a time."""

    voice: VoiceNetwork
    segmentation: SegmentationNetwork

    def voices_in(self, window: Window) -> list[tuple[list[VoicePiece], Floats]]:
        """The pieces of each person who speaks in a window, and their embeddings."""
        mel = log_mel(window.samples)
        people = [
            [(piece, frames) for piece in pieces if len(frames := _audio_of(piece, mel))]
            for pieces in pieces_of(self.segmentation.people(window.samples))
        ]
        embeddings = iter(self.voice.embeddings([frames for person in people for _, frames in person]))
        return [
            ([piece for piece, _ in person], np.stack([next(embeddings) for _ in person]))
            for person in people
            if person
        ]

    def main_voice(self, audio: WavAudio, rules: Rules) -> tuple[Floats | None, float]:
        """The voice of the person who speaks most, of length 1, and the seconds of it; None without any speech."""
        windows = Windows()
        sums: list[Floats] = []
        seconds: list[float] = []
        for window in [*windows.add(0.0, audio.pcm), *windows.rest()]:
            for pieces, embeddings in self.voices_in(window):
                weights = np.array([piece.seconds for piece in pieces], np.float32)
                sums.append(weights @ embeddings)
                seconds.append(float(weights.sum()))
        if not sums:
            return None, 0.0
        voices = np.stack(sums)
        voices /= np.linalg.norm(voices, axis=1, keepdims=True)
        is_same = voices @ voices[int(np.argmax(seconds))] >= rules.known_person
        total = np.stack(sums)[is_same].sum(axis=0)
        return total / np.linalg.norm(total), float(np.array(seconds)[is_same].sum())


def load_networks(weights: SpeakerWeights, threads: int) -> Networks:
    """Loads and compiles both networks.

    Raises:
        WeightsUnusable: a file is not what it should be.
    """
    weights.verify()
    segmentation = weights.segmentation
    if segmentation is None:
        raise WeightsUnusable(f"there are no weights in {weights.folder}", f"{PREPARE}.")
    try:
        voice = VoiceNetwork(campplus_graph(read_checkpoint(weights.voice)), threads)
        if segmentation.suffix == ".onnx":
            return Networks(voice, SegmentationNetwork(segmentation, threads))
        return Networks(voice, SegmentationNetwork(segmentation_graph(read_checkpoint(segmentation)), threads))
    except (KeyError, ValueError, RuntimeError) as error:
        reason = f"the weights are of other networks: {type(error).__name__} {error}"[:200]
        raise WeightsUnusable(reason, f"Delete {weights.folder}. {PREPARE}.") from error


def _audio_of(piece: VoicePiece, mel: Floats) -> Floats:
    return np.concatenate([mel[round(a * _MEL_PER_S) : round(b * _MEL_PER_S)] for a, b in piece.alone])

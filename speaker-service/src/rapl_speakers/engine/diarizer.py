"""One recording: its speech goes in, and its turns come out."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from rapl_protocol.audio import WavAudio
from rapl_protocol.speakers import Diarization, DiarizationOptions, RecordedSpeech, unusable_reference

from rapl_speakers.engine.people import Rules, known_people, people_in
from rapl_speakers.engine.pieces import VoicePiece, pieces_of
from rapl_speakers.engine.turns import SpokenTimes, turns_of
from rapl_speakers.engine.voices import Voices
from rapl_speakers.engine.windows import Window, Windows
from rapl_speakers.networks.campplus import DIMENSIONS
from rapl_speakers.networks.checkpoint import Floats
from rapl_speakers.networks.compiled import SegmentationNetwork, VoiceNetwork, log_mel

LEAST_REFERENCE_S = 1.0
"""Least speech of one person in a reference."""
_MEL_PER_S = 100


@dataclass(frozen=True, slots=True)
class Networks:
    """Both networks. One thread may use them at a time."""

    voice: VoiceNetwork
    segmentation: SegmentationNetwork

    def voices_in(self, window: Window) -> list[tuple[list[VoicePiece], Floats]]:
        """The pieces of each person who speaks in a window, and their embeddings."""
        mel = log_mel(window.samples)
        found = []
        for pieces in pieces_of(self.segmentation.people(window.samples)):
            audio = [(piece, _audio_of(piece, mel)) for piece in pieces]
            audio = [(piece, frames) for piece, frames in audio if len(frames)]
            if audio:
                found.append(([piece for piece, _ in audio], self.voice.embeddings([frames for _, frames in audio])))
        return found

    def main_voice(self, audio: WavAudio) -> tuple[Floats | None, float]:
        """The voice of the person who speaks most, of length 1, and the seconds of this speech; None without any."""
        windows = Windows()
        voices, seconds = [], []
        for window in [*windows.add(0.0, audio.pcm), *windows.rest()]:
            for pieces, embeddings in self.voices_in(window):
                weights = np.array([piece.seconds for piece in pieces], np.float32)
                voices.append(weights @ embeddings)
                seconds.append(float(weights.sum()))
        if not voices:
            return None, 0.0
        most = voices[int(np.argmax(seconds))]
        same = [number for number, each in enumerate(voices) if _cosine(each, most) >= Rules().known_person]
        total = sum(voices[number] for number in same)
        return total / np.linalg.norm(total), sum(seconds[number] for number in same)


class Diarizer:
    """The work of one request. Its memory grows by about 100 kB for each hour of speech.

    Args:
        networks: both networks.
        options: the request's.
        rules: thresholds.
    """

    def __init__(self, networks: Networks, options: DiarizationOptions, rules: Rules) -> None:
        self._networks = networks
        self._options = options
        self._rules = rules
        self._references: list[Floats] = []
        self._windows = Windows()
        self._voices = Voices()
        self._times = SpokenTimes()
        self._pieces = 0

    def add_reference(self, audio: WavAudio) -> None:
        """Adds the recording of the next known speaker.

        Raises:
            ServiceError: INVALID_REQUEST; see `unusable_reference`.
        """
        voice, speech_s = self._networks.main_voice(audio)
        if voice is None or speech_s < LEAST_REFERENCE_S:
            reason = f"has {speech_s:.1f} s of one person's speech; at least {LEAST_REFERENCE_S:g} s are needed."
            raise unusable_reference(len(self._references), reason)
        self._references.append(voice)

    def add_speech(self, speech: RecordedSpeech) -> None:
        self._compute(self._windows.add(speech.start_s, speech.audio.pcm))

    def finish(self) -> Diarization:
        """Finds the people. To be called once, at the end."""
        self._compute(self._windows.rest())
        if not self._pieces:
            return Diarization(turns=())
        people = people_in(self._voices.groups, self._rules, self._options.speakers)
        references = np.array(self._references, np.float32).reshape(-1, DIMENSIONS)
        known = known_people(people.voices, references, self._rules)
        times = self._times.labelled(people.person_of[self._voices.group_of])
        return Diarization(turns=turns_of(times, known))

    def _compute(self, windows: Iterable[Window]) -> None:
        for window in windows:
            for pieces, embeddings in self._networks.voices_in(window):
                self._voices.add(embeddings, np.array([piece.seconds for piece in pieces], np.float32))
                for piece in pieces:
                    for start_s, end_s in piece.spoken:
                        start_s, end_s = window.in_recording(start_s), window.in_recording(end_s, is_end=True)
                        self._times.add(start_s, max(start_s, end_s), self._pieces)
                    self._pieces += 1


def _audio_of(piece: VoicePiece, mel: Floats) -> Floats:
    return np.concatenate([mel[round(a * _MEL_PER_S) : round(b * _MEL_PER_S)] for a, b in piece.alone])


def _cosine(first: Floats, second: Floats) -> float:
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))

"""One recording: its speech goes in, and its turns come out."""

from collections.abc import Iterable

import numpy as np
from rapl_protocol.audio import WavAudio
from rapl_protocol.speakers import Diarization, DiarizationOptions, RecordedSpeech, unusable_reference

from rapl_speakers.engine.networks import Networks
from rapl_speakers.engine.people import Rules, known_people, people_in
from rapl_speakers.engine.turns import SpokenTimes, turns_of
from rapl_speakers.engine.voices import Voices
from rapl_speakers.engine.windows import Window, Windows
from rapl_speakers.networks.campplus import DIMENSIONS
from rapl_speakers.networks.checkpoint import Floats

LEAST_REFERENCE_S = 1.0
"""Least speech of one person in a reference."""


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
        voice, speech_s = self._networks.main_voice(audio, self._rules)
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
                    for spoken in piece.spoken:
                        for start_s, end_s in window.in_recording(*spoken):
                            self._times.add(start_s, end_s, self._pieces)
                    self._pieces += 1

"""How fast people speak: the time that a text usually takes.

The unit is a usual second: how long an average speaker needs for a text. It makes scripts comparable. A letter of an
alphabet stands for less sound than a Chinese character, and a digit is spoken as a word.
"""

import re
import unicodedata
from bisect import bisect_left, insort

from rapl_gateway.transcription.checks.words import judged_part

LETTERS_PER_S = 14.0
"""Letters of an alphabet, per second of speech without pauses."""
SYLLABLES_PER_S = 4.5
"""Chinese characters and Korean syllables."""
KANA_PER_S = 7.5
ABJAD_LETTERS_PER_S = 10.0
"""Letters of scripts that leave vowels out: Arabic, Hebrew."""
DIGITS_PER_S = 3.5
"""Also letters that are spelt out: words in capitals, and single capitals with a full stop or a hyphen."""
SLOWEST, FASTEST = 0.45, 2.2
"""Bounds of any speaker's speech rate, in usual seconds per second of speech. Measured: see docs/decisions/0006."""
_MIN_SPEECH_S = 1.5
"""A text with less speech than this is not used to measure a speech rate: the edges of the speech weigh too much."""
_MIN_SAMPLES = 3
_SPELT = re.compile(r"\b[A-ZА-Я]{2,}\b|\b[A-ZА-Я](?=[.-])|(?<=-)[A-ZА-Я]\b")


def usual_s(text: str) -> float:
    """Returns how many seconds of speech, without pauses, the judged part of the text usually takes."""
    text = judged_part(text)
    has_lower_case = text != text.upper()
    spelt = sum(len(word) for word in _SPELT.findall(text)) if has_lower_case else 0
    return sum(map(_character_s, text)) + spelt * (1 / DIGITS_PER_S - 1 / LETTERS_PER_S)


def _character_s(character: str) -> float:
    if not character.isalnum():
        return 0.0
    if character.isdecimal():
        return 1 / DIGITS_PER_S
    if character.isascii():
        return 1 / LETTERS_PER_S
    if "\u3040" <= character <= "\u30ff":
        return 1 / KANA_PER_S
    if unicodedata.east_asian_width(character) in "WF":
        return 1 / SYLLABLES_PER_S
    return 1 / (ABJAD_LETTERS_PER_S if "\u0590" <= character <= "\u08ff" else LETTERS_PER_S)


class SpeechRate:
    """The speech rate of one recording: usual seconds of its text per second of its speech.

    It is the median over the texts that were added, so it is not known before there are a few of them.
    """

    def __init__(self) -> None:
        self._samples: list[float] = []  # sorted

    @property
    def value(self) -> float | None:
        samples, middle = self._samples, len(self._samples) // 2
        return (samples[middle] + samples[~middle]) / 2 if len(samples) >= _MIN_SAMPLES else None

    def add(self, text: str, speech_s: float) -> None:
        """Adds a text that is not in doubt, and the seconds of its speech."""
        if speech_s >= _MIN_SPEECH_S:
            insort(self._samples, usual_s(text) / speech_s)

    def remove(self, text: str, speech_s: float) -> None:
        """Removes a text that was added, because it is in doubt now."""
        if speech_s >= _MIN_SPEECH_S:
            del self._samples[bisect_left(self._samples, usual_s(text) / speech_s)]

"""Checks a segment's text for the typical signs of lost words.

Engines lose words without an error. The engine reaches its token limit in the middle of a sentence, repeats one phrase
until the end of the segment, writes the whole segment twice, or returns no text or the text of the previous segment.
Each of these can be recognised from the text and the duration of the speech.
"""

import math
import re
import statistics
import unicodedata
from enum import StrEnum

from rapl_protocol.prepared import ENOUGH_SPEECH_S

_MIN_FOR_TEXT_S = 0.3
"""Seconds of speech. With less speech than this, a segment without text is not suspicious."""
_MIN_SPEECH_S = ENOUGH_SPEECH_S
"""Seconds of speech. Less speech than this may contain no word, only a cough or an "mm". In a clip, speech detection
stops after this much."""
_MIN_FOR_PACE_S = 1.5
"""Seconds of speech. Segments with less are not used to measure the recording's pace, in words per second of speech."""
_MIN_SEGMENTS = 3
_MIN_WORDS = 4
"""If fewer words are expected, their number is not checked."""
_LONG_SPEECH_S = 5.0
"""Seconds of speech from which the pace alone proves that words are missing. With less speech, the pace is only a
reason for a retry."""
_SLOW, _FAST = 0.6, 1.7
"""Bounds as factors of the recording's pace. One speaker's segments of half a minute differ by much less; text that is
written twice has double the pace."""
_VERY_SLOW, _VERY_FAST = 0.5, 1.9
"""The same for less than _LONG_SPEECH_S of speech."""
_MIN_SAME = 8
"""Number of words from which two segments with the same text are suspicious. Shorter texts may be equal by chance."""
_LOOP_REPEATS = 5
_LOOP_SHARE = 0.5
_WORD = re.compile(r"\w+(?:['’-]\w+)*")


class Suspicion(StrEnum):
    """Why a text may be incomplete. The engine itself reports TRUNCATED; `SegmentTask.checked` sets it."""

    NO_TEXT = "speech without text"
    LOOP = "the same words again and again"
    TOO_LITTLE = "much less text than in the rest of the recording"
    TOO_MUCH = "much more text than in the rest of the recording"
    SAME_AGAIN = "the same text as before it"
    TRUNCATED = "the engine stopped before the end"


_REMAINS_FROM_S = {Suspicion.NO_TEXT: _MIN_SPEECH_S, Suspicion.TOO_LITTLE: _LONG_SPEECH_S, Suspicion.TRUNCATED: 0.0}
"""Seconds of speech from which a suspicion remains if the retry returns the same text."""
_SAME_LENGTH = 0.9


class TranscriptChecks:
    """Checks the segments of one recording, in order."""

    def __init__(self) -> None:
        self._paces: list[float] = []
        self._previous: list[str] = []

    def suspicion(self, text: str, speech_s: float) -> Suspicion | None:
        """Returns why the text of `speech_s` seconds of speech may be incomplete; None if it looks complete."""
        words = words_of(text)
        if not words:
            return Suspicion.NO_TEXT if speech_s >= _MIN_FOR_TEXT_S else None
        if has_loop(words):
            return Suspicion.LOOP
        if len(words) >= _MIN_SAME and words == self._previous:
            return Suspicion.SAME_AGAIN
        return self._suspicion_of_pace(len(words), speech_s)

    def _suspicion_of_pace(self, words: int, speech_s: float) -> Suspicion | None:
        if len(self._paces) < _MIN_SEGMENTS:
            return None
        expected = speech_s * statistics.median(self._paces)
        if expected < _MIN_WORDS:
            return None
        slow, fast = (_SLOW, _FAST) if speech_s >= _LONG_SPEECH_S else (_VERY_SLOW, _VERY_FAST)
        if words < slow * expected:
            return Suspicion.TOO_LITTLE
        return Suspicion.TOO_MUCH if words > fast * expected else None

    def compare(self, suspicion: Suspicion, first: str, again: str, speech_s: float) -> tuple[bool, Suspicion | None]:
        """Compares the text of a retry, for which the same audio was cut differently, with the first text.

        Returns:
            Whether to keep the second text, and the suspicion that remains about the text that is kept. If both texts
            are equal, a suspicion of too many words is cleared. A suspicion of missing words is then cleared only if
            there was little speech, because an engine can lose the same words twice.
        """
        before, now = words_of(first), words_of(again)
        if now == before:
            return False, suspicion if speech_s >= _REMAINS_FROM_S.get(suspicion, math.inf) else None
        remaining = self.suspicion(again, speech_s)
        if remaining is Suspicion.TOO_MUCH and remaining is suspicion and len(now) >= _SAME_LENGTH * len(before):
            return True, None
        if remaining is Suspicion.LOOP or (remaining and len(now) <= len(before)):
            return False, suspicion
        return True, remaining

    def accept(self, text: str, speech_s: float) -> None:
        """Adds this text to the measured pace of the recording, and compares the next segment with it."""
        self._previous = words_of(text)
        if speech_s >= _MIN_FOR_PACE_S:
            self._paces.append(len(self._previous) / speech_s)


def words_of(text: str) -> list[str]:
    """Returns the words in lower case, without punctuation. In scripts without spaces between words, each character
    counts as one word."""
    if text.isascii():
        return _WORD.findall(text.casefold())
    found: list[str] = []
    for word in _WORD.findall(text.casefold()):
        found += list(word) if unicodedata.east_asian_width(word[0]) == "W" else [word]
    return found


def has_loop(words: list[str]) -> bool:
    """Returns whether one phrase, repeated without a break, makes up at least half of the words."""
    for period in range(1, len(words) // _LOOP_REPEATS + 1):
        run = longest = 0
        for before, now in zip(words, words[period:], strict=False):
            run = run + 1 if before == now else 0
            longest = max(longest, run)
        repeated = longest + period
        if repeated >= _LOOP_REPEATS * period and repeated >= max(_LOOP_REPEATS + 1, _LOOP_SHARE * len(words)):
            return True
    return False

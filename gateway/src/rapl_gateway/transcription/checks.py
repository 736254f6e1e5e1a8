"""Looks at what an engine made of a segment, and doubts what is typical of lost words.

Engines fail in silence: a token budget runs out in the middle of a sentence, a decoder repeats one phrase to the end
of the segment or writes all of it twice, a segment comes back empty or with the text of the one before. Each leaves a
mark that can be seen from outside.
"""

import math
import re
import statistics
import unicodedata
from enum import StrEnum

from rapl_protocol.prepared import ENOUGH_SPEECH_S

_LEAST_HEARD_S = 0.3
"""Of less speech without text nobody asks again."""
_LEAST_SPEECH_S = ENOUGH_SPEECH_S
"""Less speech than this may well be no word: a cough, an "mm". Of more, a clip is not judged any further."""
_LEAST_MEASURE_S = 1.5
"""Less speech says nothing of a recording's usual pace."""
_LEAST_SEGMENTS = 3
_LEAST_WORDS = 4
"""Where fewer are to be expected, how many there are says nothing."""
_MUCH_S = 5.0
"""Of so much speech, the pace alone says that words are missing; with less it is a reason to hear it again."""
_SLOW, _FAST = 0.6, 1.7
"""Of the usual pace. One speaker's segments of half a minute differ by much less than that; what is written twice has
double the pace."""
_VERY_SLOW, _VERY_FAST = 0.5, 1.9
"""The same for little speech."""
_LEAST_SAME = 8
"""So many words in a row are hardly said again by chance."""
_LOOP_REPEATS = 5
_LOOP_SHARE = 0.5
_WORD = re.compile(r"\w+(?:['’-]\w+)*")


class Suspicion(StrEnum):
    NO_TEXT = "speech without text"
    LOOP = "the same words again and again"
    TOO_LITTLE = "much less text than in the rest of the recording"
    TOO_MUCH = "much more text than in the rest of the recording"
    SAME_AGAIN = "the same text as before it"
    TRUNCATED = "the engine stopped before the end"


_STILL_LOST_S = {Suspicion.NO_TEXT: _LEAST_SPEECH_S, Suspicion.TOO_LITTLE: _MUCH_S, Suspicion.TRUNCATED: 0.0}
"""From how much speech on the doubt stays when the same comes again."""
_AS_MANY = 0.9


class TranscriptChecks:
    """Judges the segments of one recording, in the order in which they come."""

    def __init__(self) -> None:
        self._paces: list[float] = []
        self._before: list[str] = []

    def doubt(self, text: str, speech_s: float) -> Suspicion | None:
        """Why this text of so much speech may not be all of it; None if nothing speaks against it."""
        words = words_of(text)
        if not words:
            return Suspicion.NO_TEXT if speech_s >= _LEAST_HEARD_S else None
        if has_loop(words):
            return Suspicion.LOOP
        if len(words) >= _LEAST_SAME and words == self._before:
            return Suspicion.SAME_AGAIN
        return self._doubt_of_pace(len(words), speech_s)

    def _doubt_of_pace(self, words: int, speech_s: float) -> Suspicion | None:
        if len(self._paces) < _LEAST_SEGMENTS:
            return None
        expected = speech_s * statistics.median(self._paces)
        if expected < _LEAST_WORDS:
            return None
        slow, fast = (_SLOW, _FAST) if speech_s >= _MUCH_S else (_VERY_SLOW, _VERY_FAST)
        if words < slow * expected:
            return Suspicion.TOO_LITTLE
        return Suspicion.TOO_MUCH if words > fast * expected else None

    def settle(self, doubt: Suspicion, first: str, again: str, speech_s: float) -> tuple[bool, Suspicion | None]:
        """Weighs the text of a second look, at smaller pieces of the same audio, against the first.

        Returns:
            Whether the second is the one to keep, and the doubt that is left about the one that is kept. That the same
            words come again ends a doubt about too many of them: so it was said. It does not end the doubt about
            missing words, unless there was little speech: what an engine loses twice is still lost.
        """
        before, now = words_of(first), words_of(again)
        if now == before:
            return False, doubt if speech_s >= _STILL_LOST_S.get(doubt, math.inf) else None
        left = self.doubt(again, speech_s)
        if left is Suspicion.TOO_MUCH and left is doubt and len(now) >= _AS_MANY * len(before):
            return True, None
        if left is Suspicion.LOOP or (left and len(now) <= len(before)):
            return False, doubt
        return True, left

    def accept(self, text: str, speech_s: float) -> None:
        """Takes this text as a measure for those that follow."""
        self._before = words_of(text)
        if speech_s >= _LEAST_MEASURE_S:
            self._paces.append(len(self._before) / speech_s)


def words_of(text: str) -> list[str]:
    """The words, lower case, without punctuation; of scripts without spaces between words, the characters."""
    if text.isascii():
        return _WORD.findall(text.casefold())
    found: list[str] = []
    for word in _WORD.findall(text.casefold()):
        found += list(word) if unicodedata.east_asian_width(word[0]) == "W" else [word]
    return found


def has_loop(words: list[str]) -> bool:
    """Whether one phrase, said again and again without a break, makes up at least half of the words."""
    for period in range(1, len(words) // _LOOP_REPEATS + 1):
        run = longest = 0
        for before, now in zip(words, words[period:], strict=False):
            run = run + 1 if before == now else 0
            longest = max(longest, run)
        repeated = longest + period
        if repeated >= _LOOP_REPEATS * period and repeated >= max(_LOOP_REPEATS + 1, _LOOP_SHARE * len(words)):
            return True
    return False

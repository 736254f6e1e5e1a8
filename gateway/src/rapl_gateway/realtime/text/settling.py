"""Decides which words of an open turn are settled, so that they can be sent and never change.

An open turn is transcribed again and again, each time with more audio. Each text is a hypothesis: its end changes when
more is heard. A word is settled when the hypotheses of the last second all have it and it is not near their end.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import takewhile

from rapl_protocol.audio import WavAudio
from rapl_protocol.prepared import SpeechSegment
from rapl_protocol.transcript import Transcript

from rapl_gateway.realtime.text.units import Unit, text_of, units_of, words_in
from rapl_gateway.transcription.checks.transcript_checks import TranscriptChecks

_HELD_CHARACTERS = 6
"""Characters at the end of a hypothesis that are not settled, in scripts without spaces between words.
docs/decisions/0014 has the measurements behind this and the other numbers."""
_CHARACTERS_PER_WORD = 3
"""A word of another script counts as so many of them: two words are held back."""
_AFTER_NUMERAL = 2
"""Words after a number that fix it. "twenty" becomes "20", then "21", then "21 May"."""
_AGREED_OVER_S = 0.75
"""Seconds of audio by which the hypotheses that agree must differ at least. Texts of nearly the same audio have the
same mistakes."""
_SURE_WORD_LOGPROB = -0.5
"""Lowest log-probability of the tokens of a word of which the engine is sure."""
_UNSURE_AGREED_OVER_S = 2.0
"""As _AGREED_OVER_S, for the other words."""
_SURE_LOGPROB = -0.6
"""Lowest mean log-probability of a text that settles words. Whisper's first guesses at the beginning of a turn are
lower."""
_SURE_S = 2.0
"""Seconds of audio from which a text settles words, if the engine reports no log-probability."""
_LONGEST_SHIFT = 64
"""Most characters by which two texts of the same speech are shifted against each other."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """The text of all audio of an open turn so far."""

    audio_s: float
    """Seconds of this audio."""
    text: str
    language: str | None = None
    """ISO 639 code that the engine detected; None if it reported none."""
    unsure: Sequence[range] = ()
    """Tokens of which the engine is not sure: which of the text's letters and digits they are."""

    @classmethod
    def of(cls, transcript: Transcript, audio: WavAudio) -> "Hypothesis | None":
        """Returns the hypothesis of a pass. None if nothing should be settled by it: the engine is not sure of its
        text, or its text is in doubt for one of the reasons of `TranscriptChecks`."""
        segment = SpeechSegment(0.0, audio.duration_s, audio)
        if not transcript.text or TranscriptChecks().judge(transcript, segment).judgement.flags:
            return None
        if is_unsure(transcript) or (not _logprobs(transcript) and audio.duration_s < _SURE_S):
            return None
        return cls(audio.duration_s, transcript.text, transcript.language, _unsure_tokens(transcript))


def is_unsure(transcript: Transcript) -> bool:
    """Returns whether the engine reports a mean log-probability below _SURE_LOGPROB."""
    logprobs = _logprobs(transcript)
    return sum(logprobs) < _SURE_LOGPROB * len(logprobs)


def _logprobs(transcript: Transcript) -> list[float]:
    """The mean log-probability of each segment that has one."""
    logprobs = [each.decoding and each.decoding.avg_logprob for each in transcript.segments]
    return [logprob for logprob in logprobs if logprob is not None]


def _unsure_tokens(transcript: Transcript) -> Sequence[range]:
    """As `Hypothesis.unsure`. Nothing if the engine reports no log-probabilities, or those of another text."""
    position, found = 0, list[range]()
    for token in transcript.logprobs or ():
        end = position + _letters(token.token)
        if token.logprob < _SURE_WORD_LOGPROB:
            found.append(range(position, end))
        position = end
    return found if position == _letters(transcript.text) else ()


def _letters(text: str) -> int:
    """Returns how many letters and digits a text has."""
    return sum(character.isalnum() for character in text)


class Settling:
    """The settled text of one turn, or of one part of a long one. It only grows."""

    def __init__(self) -> None:
        self._settled: list[Unit] = []
        self._before: deque[tuple[Hypothesis, Sequence[Unit]]] = deque()
        """The latest hypotheses, and what they have after the settled text."""
        self.text = ""
        """Everything that `add`, `stream` and `finish` returned, joined."""
        self.language: str | None = None
        """The language of the settled text; None if nothing is settled, or if the engine reported none."""
        self.settled = 0
        """Words that are settled by hypotheses; in scripts without spaces, characters."""
        self.disagreed = 0
        """How many of these the final text has otherwise. Known after `finish`."""

    def add(self, hypothesis: Hypothesis) -> str:
        """Adds the next hypothesis. Returns the text that it settles, which may be ""."""
        units = units_of(hypothesis.text.strip())
        rest = units[position_after(self._settled, units) :]
        count = self._count_settled(hypothesis, rest)
        self._before.append((hypothesis, rest))
        self._before = deque((each, its_rest[count:]) for each, its_rest in self._before)
        if not count:
            return ""
        self.language = self.language or hypothesis.language
        self.settled += len(words_in(rest[:count]))
        space = " " if self._settled and _needs_space(self._settled[-1], rest[0]) else ""
        return self._grow(rest[:count], space)

    def _count_settled(self, hypothesis: Hypothesis, rest: Sequence[Unit]) -> int:
        """Returns how many units of `rest`, from its start, are settled: those on which the latest hypotheses agree,
        without what is held back at the end."""
        while len(self._before) > 1 and hypothesis.audio_s - self._before[1][0].audio_s >= _UNSURE_AGREED_OVER_S:
            self._before.popleft()
        agreed = self._count_agreed(hypothesis, rest, _AGREED_OVER_S)
        if agreed and hypothesis.unsure:
            long_agreed = self._count_agreed(hypothesis, rest, _UNSURE_AGREED_OVER_S)
            agreed = min(agreed, _first_unsure(hypothesis, rest, long_agreed))
        count = min(agreed, _before_the_edge(rest))
        return len(_without_marks_at_end(rest[: _before_open_numeral(rest[:count])]))

    def _count_agreed(self, hypothesis: Hypothesis, rest: Sequence[Unit], over_s: float) -> int:
        """Returns how many units of `rest`, from its start, all hypotheses of the last `over_s` seconds have, and one
        that is older."""
        ages_s = [hypothesis.audio_s - each.audio_s for each, _ in self._before]
        old = sum(age_s >= over_s for age_s in ages_s)
        latest = list(self._before)[max(0, old - 1) :]
        if not old or any(each.language != hypothesis.language for each, _ in latest):
            return 0
        return min(_count_same(its_rest, rest) for _, its_rest in latest)

    def stream(self, text: str) -> str:
        """Adds the beginning of the final text, as far as it is decoded. Returns what it adds, which may be "". Nothing
        is added before all of the settled text is decoded again, or if it is decoded differently."""
        text = text.strip()
        if not text.startswith(self.text):
            return ""
        rest = units_of(text[len(self.text) :])[:-1]  # more letters may follow at the end
        return self._grow(_without_marks_at_end(rest))

    def finish(self, text: str) -> str:
        """Adds the final text. Returns what it adds to the settled text, which may be ""."""
        text = text.strip()
        if text.startswith(self.text):
            added = text[len(self.text) :]
        else:
            # Another server may return any text: a far too long one must not take long.
            units = units_of(text[: 2 * len(self.text) + _LONGEST_SHIFT])
            start = position_after(self._settled, units)
            self.disagreed = _disagreed(self._settled, units[:start], self.settled)
            added = text[len(text_of(units[:start])) :]
            if start < len(units) and _needs_space(self._settled[-1], units[start]):
                added = " " + added
        self.text += added
        return added

    def split(self, text: str) -> "Settling":
        """Removes what lies after this text, the final one of the first part of the audio, and returns it. Usually
        nothing does, because passes settle nothing near the end of their audio."""
        after = Settling()
        count = position_after(units_of(text.strip()), self._settled)
        after._settled, self._settled = self._settled[count:], self._settled[:count]
        after.text, self.text = text_of(after._settled).strip(), text_of(self._settled)
        after.settled = min(self.settled, len(words_in(after._settled)))
        self.settled -= after.settled
        return after

    def _grow(self, units: Sequence[Unit], space: str = "") -> str:
        added = space + text_of(units)
        self._settled += units
        self.text += added
        return added


def position_after(settled: Sequence[Unit], units: Sequence[Unit]) -> int:
    """Returns the number of units of a text that say what the settled ones say.

    Where the two differ, the settled text is compared with every beginning of the other one, letter by letter without
    marks and spaces. The most similar one counts; of several, the longest, so that nothing is said twice.
    """
    if not settled:
        return 0
    same = _count_same(settled, units)
    if same == len(settled):
        return same
    rest, others = settled[same:], units[same:]
    return same + _most_similar("".join(unit.key for unit in rest), others)


def _most_similar(key: str, units: Sequence[Unit]) -> int:
    """Returns how many of the units together are most similar to `key`, by the number of different characters."""
    ends = [0]
    for unit in units:
        ends.append(ends[-1] + len(unit.key))
    other = "".join(unit.key for unit in units)[: len(key) + _LONGEST_SHIFT]
    costs = _prefix_distances(key, other)
    best, best_cost = 0, costs[0]
    for count in range(1, len(units) + 1):
        if ends[count] > len(other):
            break
        if units[count - 1].key and costs[ends[count]] <= best_cost:
            best, best_cost = count, costs[ends[count]]
    return best


def _prefix_distances(key: str, other: str) -> list[int]:
    """Returns the edit distance of `key` to each beginning of `other`, from "" on. Distances of texts that are shifted
    against each other by more than _LONGEST_SHIFT are only an upper bound."""
    far = len(key) + len(other) + 1
    row = list(range(len(other) + 1))
    for i, character in enumerate(key, 1):
        first, last = max(1, i - _LONGEST_SHIFT), min(len(other), i + _LONGEST_SHIFT)
        above, row = row, [far] * (len(other) + 1)
        row[0] = i
        for j in range(first, last + 1):
            changed = above[j - 1] + (character != other[j - 1])
            row[j] = min(changed, above[j] + 1, row[j - 1] + 1)
    return row


def _count_same(first: Sequence[Unit], second: Sequence[Unit]) -> int:
    """Returns how many units at the start are the same."""
    pairs = zip(first, second, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0].raw == pair[1].raw, pairs))


def _first_unsure(hypothesis: Hypothesis, rest: Sequence[Unit], start: int) -> int:
    """Returns the index of the first unit of `rest`, from `start` on, of which the engine is not sure; the number of
    units if there is none. `rest` is the end of the hypothesis."""
    position = _letters(hypothesis.text) - _letters(text_of(rest[start:]))
    for index, unit in enumerate(rest[start:], start):
        end = position + _letters(unit.raw)
        if any(position < each.stop and each.start < end for each in hypothesis.unsure):
            return index
        position = end
    return len(rest)


def _before_the_edge(units: Sequence[Unit]) -> int:
    """Returns the number of units before those that are held back because more audio may change them."""
    held = 0
    for count in range(len(units), 0, -1):
        if held >= _HELD_CHARACTERS:
            return count
        if units[count - 1].key:
            held += 1 if units[count - 1].is_character else _CHARACTERS_PER_WORD
    return 0


def _without_marks_at_end(units: Sequence[Unit]) -> Sequence[Unit]:
    """A full stop may become a comma as long as no word follows."""
    end = len(units)
    while end and not units[end - 1].key:
        end -= 1
    return units[:end]


def _before_open_numeral(units: Sequence[Unit]) -> int:
    """Returns the number of units before the first number that too few words follow to fix it. In a row of numbers,
    each counts as half a word."""
    count, words_after = len(units), 0.0
    for index in range(len(units) - 1, -1, -1):
        if words_after >= _AFTER_NUMERAL:
            break
        if units[index].is_numeral:
            count = index
            words_after += 0.5
        elif units[index].key:
            words_after += 1.0
    return count


def _disagreed(settled: Sequence[Unit], final: Sequence[Unit], count: int) -> int:
    """Returns how many of the first `count` settled words are not in the final text at their place."""
    words = words_in(settled)[:count]
    matcher = SequenceMatcher(None, words, words_in(final), autojunk=False)
    return count - sum(block.size for block in matcher.get_matching_blocks())


def _needs_space(last: Unit, following: Unit) -> bool:
    """Within one text, two words always have a space or a mark between them; texts of two passes may not."""
    if following.raw[0].isspace() or not (last.key and following.key):
        return False
    return not (last.is_character or following.is_character)

"""Cuts a segment into utterances that are short enough for subtitles."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from rapl_protocol.audio import SAMPLE_RATE_HZ, WavAudio
from rapl_protocol.transcript import Segment, Word

PAUSE_S = 0.5
"""Shortest pause between two utterances."""
LONGEST_S = 7.0
"""Longest utterance. Source: https://partnerhelp.netflixstudios.com/hc/en-us/articles/215758617"""
_SENTENCE_ENDS = ".?!。？！"
_FRAME_S = 0.02
_QUIET = 0.1
"""Level of silence, relative to the loudest frame of the word: 20 dB below it."""
_LONGEST_TAIL_S = 0.6


def utterances(segment: Segment, audio: WavAudio) -> tuple[Segment, ...]:
    """Cuts a segment at pauses and after sentences, and cuts long utterances. A segment without words stays whole.

    Each utterance has the language, emotion and events of the segment, because the model reports them only once.

    Args:
        segment: the segment with its words. The end of a word is the time at which the model recognised it, often
            before the end of its sound.
        audio: the segment's audio. An utterance ends when its sound ends.
    """
    starts = _starts(segment.text, segment.words or ())
    if not segment.words or starts is None:
        return (segment,)
    cuts = [0, *(n for n in range(1, len(starts)) if _is_cut(segment, starts, n)), len(starts)]
    groups = [(a, b) for whole in pairwise(cuts) for a, b in _short(segment.words, *whole)]
    return tuple(_utterance(segment, starts, first, behind, audio) for first, behind in groups)


def _starts(text: str, words: Sequence[Word]) -> list[int] | None:
    """Returns the offset of each word in the text, or None if the text does not contain all words."""
    starts, at = [], 0
    for word in words:
        at = text.find(word.word, at)
        if at < 0:
            return None
        starts.append(at)
        at += len(word.word)
    return starts


def _is_cut(segment: Segment, starts: Sequence[int], n: int) -> bool:
    """Whether an utterance begins with word `n`."""
    words = segment.words or ()
    between = segment.text[starts[n - 1] + len(words[n - 1].word) : starts[n]]
    return words[n].start_s - words[n - 1].end_s >= PAUSE_S or any(mark in between for mark in _SENTENCE_ENDS)


def _short(words: Sequence[Word], first: int, behind: int) -> Iterator[tuple[int, int]]:
    """Yields ranges of words. A range longer than LONGEST_S is split at the longest gap in its middle half."""
    if words[behind - 1].end_s - words[first].start_s <= LONGEST_S or behind - first < 2:
        yield first, behind
        return
    quarter = (behind - first) // 4
    inner = range(first + max(1, quarter), max(first + 2, behind - quarter))
    cut = max(inner, key=lambda n: words[n].start_s - words[n - 1].end_s)
    yield from _short(words, first, cut)
    yield from _short(words, cut, behind)


def _utterance(segment: Segment, starts: Sequence[int], first: int, behind: int, audio: WavAudio) -> Segment:
    words = segment.words or ()
    is_last = behind == len(words)
    text = segment.text[starts[first] if first else 0 : None if is_last else starts[behind]]
    limit_s = segment.end_s if is_last else words[behind].start_s
    return segment.model_copy(
        update={
            "start_s": words[first].start_s,
            "end_s": _sound_end_s(audio, words[behind - 1], limit_s),
            "text": text.strip(),
            "words": words[first:behind],
        }
    )


def _sound_end_s(audio: WavAudio, word: Word, limit_s: float) -> float:
    """The time at which the sound of the word ends, at most `limit_s`."""
    import numpy as np

    samples = np.frombuffer(audio.pcm, dtype="<i2").astype(np.float32)
    size = int(_FRAME_S * SAMPLE_RATE_HZ)
    begin, end = (round(at * SAMPLE_RATE_HZ) for at in (word.start_s, min(limit_s, word.end_s + _LONGEST_TAIL_S)))
    frames = samples[begin : begin + (end - begin) // size * size].reshape(-1, size)
    if not len(frames):
        return word.end_s
    levels = np.sqrt((frames**2).mean(axis=1))
    loud = np.flatnonzero(levels > _QUIET * levels.max())
    sound_end_s = word.start_s + (int(loud[-1]) + 1) * _FRAME_S if len(loud) else word.end_s
    return min(max(sound_end_s, word.end_s), max(limit_s, word.end_s))

"""Builds transcripts from the results of models, without invalid times and empty segments."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rapl_protocol.intervals import Interval, Intervals, merged
from rapl_protocol.transcriber import OnText
from rapl_protocol.transcript import Decoding, Segment, Transcript, Word, join_texts


class Cancelled(Exception):
    """The request was cancelled, because its client has disconnected."""


@dataclass(frozen=True)
class ResultListener:
    """Receives the text of a request as it grows, and reports whether the request was cancelled."""

    on_text: OnText | None = None
    is_cancelled: Callable[[], bool] = lambda: False

    def raise_if_cancelled(self) -> None:
        """Call it between tokens. Raises: Cancelled."""
        if self.is_cancelled():
            raise Cancelled

    def send_text(self, text: str) -> None:
        """Sends new text, if the request streams."""
        if text and self.on_text:
            self.on_text(text)


class NonStreamingFamily:
    """Base class of families that return the whole text at once."""

    def generate(self, model: Any, wav_path: str, arguments: dict[str, Any], listener: ResultListener) -> Any:
        return model.generate(wav_path, **arguments)


def make_transcript(
    text: str,
    language: str | None,
    duration_s: float,
    segments: Iterable[Segment | None] | None = None,
    *,
    is_truncated: bool = False,
) -> Transcript:
    """Returns a transcript with the segments if they have the whole text, in order; otherwise with one segment.

    Segments outside of the audio are left out with their text: a model that pads the audio can invent words there.

    Args:
        text: the text of the model; white space at its ends is removed.
        language: of the text; without text the transcript has none.
        segments: from `make_segment`; None if the model does not measure times.
    """
    text = text.strip()
    kept = [segment for segment in segments or () if segment]
    is_measured = segments is not None and _length("".join(segment.text for segment in kept)) >= _length(text)
    inside = [segment for segment in kept if segment.start_s < segment.end_s]
    if is_measured and len(inside) < len(kept):
        kept, text = inside, join_texts(segment.text for segment in inside)
    is_measured = is_measured and _is_in_order(kept)
    if not is_measured:
        kept = [Segment(start_s=0.0, end_s=duration_s, text=text, language=language)]
    if not text:
        kept = []
    return Transcript(
        text=text,
        language=language if text else None,
        duration_s=duration_s,
        segments=tuple(kept),
        text_spans=_text_spans(kept) if is_measured else None,
        is_truncated=is_truncated,
    )


def _text_spans(segments: Iterable[Segment]) -> Intervals:
    """Returns the times of the words; where a segment has none, its own."""
    timed = (each for segment in segments for each in segment.words or (segment,))
    return merged(Interval(each.start_s, each.end_s) for each in timed if each.start_s < each.end_s)


def _length(text: str) -> int:
    return sum(not character.isspace() for character in text)


def _is_in_order(items: Sequence[Segment] | Sequence[Word]) -> bool:
    return all(item.start_s <= following.start_s for item, following in pairwise(items))


def make_segment(
    start_s: Any,
    end_s: Any,
    text: str,
    language: str | None,
    duration_s: float,
    words: Iterable[Word | None] | None = None,
    decoding: Decoding | None = None,
) -> Segment | None:
    """Returns a segment; None if there is no text, or if the times are missing, not finite, or not in order. Words that
    are not in order are left out. A segment that lies outside of the audio has equal times."""
    times = clamp_times(start_s, end_s, duration_s)
    if times is None or not text.strip():
        return None
    kept = tuple(word for word in words or () if word)
    return Segment(
        start_s=times[0],
        end_s=times[1],
        text=text,
        language=language,
        words=kept if kept and _is_in_order(kept) else None,
        decoding=decoding,
    )


def make_word(word: str, start_s: Any, end_s: Any, duration_s: float) -> Word | None:
    times = clamp_times(start_s, end_s, duration_s, may_be_empty=True)
    if times is None or not word.strip():
        return None
    return Word(word=word.strip(), start_s=times[0], end_s=times[1])


def clamp_times(
    start_s: Any, end_s: Any, duration_s: float, *, may_be_empty: bool = False
) -> tuple[float, float] | None:
    """Returns the times as floats within the audio; models pad the audio, so their times may lie beyond its end.

    Returns None if they are not numbers, not finite, or not in order; `may_be_empty` allows equal times. What starts at
    the end of the audio or later is outside, whatever its end is.
    """
    start, end = finite(start_s), finite(end_s)
    if start is not None and start >= duration_s:
        return duration_s, duration_s
    if start is None or end is None or not (start < end or (may_be_empty and start == end)):
        return None
    return max(0.0, min(start, duration_s)), max(0.0, min(end, duration_s))


def finite(value: Any) -> float | None:
    """Returns the value as a finite float; None if it is anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def max_tokens_for(duration_s: float) -> int:
    """Returns the token limit. Fast speech in any language has fewer than 20 tokens per second."""
    return 64 + math.ceil(20 * duration_s)

"""Builds transcripts from the results of models, without invalid times and empty segments."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rapl_protocol.transcriber import OnText
from rapl_protocol.transcript import Segment, Transcript, Word


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
    segments: Iterable[Segment | None] = (),
    *,
    is_truncated: bool = False,
) -> Transcript:
    """Returns a transcript with the segments if they have the whole text, in order; otherwise with one segment."""
    text = text.strip()
    kept = tuple(segment for segment in segments if segment)
    is_complete = _length("".join(segment.text for segment in kept)) >= _length(text)
    if text and not (is_complete and _is_in_order(kept)):
        kept = (Segment(start_s=0.0, end_s=duration_s, text=text, language=language),)
    return Transcript(
        text=text,
        language=language,
        duration_s=duration_s,
        segments=kept if text else (),
        is_truncated=is_truncated,
    )


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
) -> Segment | None:
    """Returns a segment; None if there is no text, or if the times are missing, not finite, or not in order. Words that
    are not in order are left out."""
    times = clamp_times(start_s, end_s, duration_s)
    if times is None or not text.strip():
        return None
    kept = tuple(word for word in words or () if word)
    timed_words = kept if kept and _is_in_order(kept) else None
    return Segment(start_s=times[0], end_s=times[1], text=text.strip(), language=language, words=timed_words)


def make_word(word: str, start_s: Any, end_s: Any, duration_s: float) -> Word | None:
    times = clamp_times(start_s, end_s, duration_s, may_be_empty=True)
    if times is None or not word.strip():
        return None
    return Word(word=word.strip(), start_s=times[0], end_s=times[1])


def clamp_times(
    start_s: Any, end_s: Any, duration_s: float, *, may_be_empty: bool = False
) -> tuple[float, float] | None:
    """Returns the times as floats within the audio; models pad the audio, so their times may lie beyond its end."""
    try:
        start, end = float(start_s), float(end_s)
    except (TypeError, ValueError, OverflowError):
        return None
    if not (math.isfinite(start) and math.isfinite(end)):
        return None
    start, end = max(0.0, min(start, duration_s)), max(0.0, min(end, duration_s))
    return (start, end) if end > start or (may_be_empty and end == start) else None


def max_tokens_for(duration_s: float) -> int:
    """Returns the token limit. Fast speech in any language has fewer than 20 tokens per second."""
    return 64 + math.ceil(20 * duration_s)

"""What is used of an engine's transcript: text with words in it, that lies within the audio."""

from rapl_protocol.intervals import Interval, difference, merged
from rapl_protocol.transcript import Segment, Transcript, join_texts

_MOST_SEGMENTS = 1_000
"""Most segments whose times are used. More cannot be right for 30 s of audio, and each of them costs time."""


def has_words(text: str) -> bool:
    """Returns whether the text has a letter or a digit of any script. Engines write `.`, `♪` or an emoji where they
    recognize no words."""
    return any(map(str.isalnum, text))


def usable(transcript: Transcript) -> Transcript:
    """Returns the transcript without the segments that have no words, or that begin at or after the end of the audio.
    If no words remain, the text is empty."""
    transcript = _credible(transcript)
    kept, dropped = list[Segment](), list[Segment]()
    for each in transcript.segments:
        (kept if each.start_s < transcript.duration_s and has_words(each.text) else dropped).append(each)
    is_empty = not has_words(transcript.text) or (bool(dropped) and not kept)
    if is_empty:
        spans = None if transcript.text_spans is None else ()
        return transcript.model_copy(update={"text": "", "segments": (), "text_spans": spans})
    if not dropped:
        return transcript
    text = join_texts(each.text for each in kept)
    places = merged(Interval(each.start_s, each.end_s) for each in dropped)
    spans = transcript.text_spans and difference(transcript.text_spans, places)
    return transcript.model_copy(update={"segments": tuple(kept), "text": text, "text_spans": spans})


def _credible(transcript: Transcript) -> Transcript:
    """Returns the transcript; if its segments are too many, with one segment and without times."""
    if len(transcript.segments) <= _MOST_SEGMENTS:
        return transcript
    whole = Segment(start_s=0.0, end_s=transcript.duration_s, text=transcript.text, language=transcript.language)
    return transcript.model_copy(update={"segments": (whole,), "text_spans": None})

"""What is used of an engine's transcript: text with words in it that lies within the audio, and events."""

from rapl_protocol.intervals import Interval, difference, merged
from rapl_protocol.transcript import Segment, Transcript, join_texts

_MOST_SEGMENTS = 1_000
"""Most segments whose times are used. More cannot be right for 30 s of audio, and each of them costs time."""


def has_words(text: str) -> bool:
    """Returns whether the text has a letter or a digit of any script. Engines write `.`, `♪` or an emoji where they
    recognize no words."""
    return any(map(str.isalnum, text))


def usable(transcript: Transcript) -> Transcript:
    """Returns the transcript without the text that has no words, or that begins at or after the end of the audio. A
    segment without words is kept for its events, such as laughter."""
    transcript = _credible(transcript)
    kept, removed = list[Segment](), list[Interval]()
    for each in transcript.segments:
        if each.start_s < transcript.duration_s and has_words(each.text):
            kept.append(each)
            continue
        removed.append(Interval(each.start_s, each.end_s))
        if each.start_s < transcript.duration_s and each.events:
            kept.append(each.model_copy(update={"text": "", "words": None}))
    if not removed and has_words(transcript.text):
        return transcript
    text = join_texts(each.text for each in kept)
    spans = transcript.text_spans
    if spans is not None:
        spans = difference(spans, merged(removed)) if text else ()
    changed = {"segments": tuple(kept), "text": text, "text_spans": spans, "logprobs": None if text else ()}
    return transcript.model_copy(update=changed)


def _credible(transcript: Transcript) -> Transcript:
    """Returns the transcript; if its segments are too many, with one segment and without times."""
    if len(transcript.segments) <= _MOST_SEGMENTS:
        return transcript
    whole = Segment(start_s=0.0, end_s=transcript.duration_s, text=transcript.text, language=transcript.language)
    return transcript.model_copy(update={"segments": (whole,), "text_spans": None})

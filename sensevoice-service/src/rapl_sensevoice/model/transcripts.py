"""Converts SenseVoice's output to a `Transcript`."""

from collections.abc import Iterator, Sequence
from statistics import fmean

from rapl_protocol.audio import WavAudio
from rapl_protocol.intervals import Interval, Intervals, merged
from rapl_protocol.transcript import Decoding, Segment, TokenLogprob, TranscribeOptions, Transcript

from rapl_sensevoice.model.rich_tags import parse_rich_text
from rapl_sensevoice.model.utterances import utterances
from rapl_sensevoice.model.words import WORD_BEGINS, TimedToken, words_from_tokens
from rapl_sensevoice.runtimes.runtime import Decoded

LONGEST_GAP_S = 1.0
"""Longest time between two tokens of one span of text."""
REACH_S = 0.3
"""How far a span of text reaches beyond its first and its last token. A token has few frames, in the middle of its
sound: of 682 clips of the self-test model's test voices, speech began up to 0.43 s before the first token and ended up
to 0.48 s after the last one in 19 of 20, with medians of 0.07 and 0.22 s."""


def transcript_from(decoded: Decoded, audio: WavAudio, options: TranscribeOptions) -> Transcript:
    """Returns a transcript with one segment, or with one per utterance if `segment_timestamps` is set.

    Without text and events it has no segment.
    """
    rich, duration_s = parse_rich_text(decoded.rich_text), audio.duration_s
    if not rich.text and not rich.events:
        logprobs = () if options.logprobs else None
        return Transcript(text="", language=rich.language, duration_s=duration_s, logprobs=logprobs)
    words = None
    if decoded.tokens is not None:
        words = words_from_tokens(rich.text, decoded.tokens, duration_s)
    segment = Segment(
        start_s=0.0, end_s=duration_s, text=rich.text, words=words,
        language=rich.language, emotion=rich.emotion, events=rich.events,
    )  # fmt: skip
    segments = utterances(segment, audio) if options.segment_timestamps else (segment,)
    spans = None
    if rich.text:
        segments = tuple(_with_decoding(segments, decoded.path))
        spans = text_spans(decoded.path, duration_s)
    if not options.word_timestamps:
        segments = tuple(each.model_copy(update={"words": None}) for each in segments)
    return Transcript(
        text=rich.text,
        language=rich.language,
        duration_s=duration_s,
        segments=segments,
        text_spans=spans,
        logprobs=_logprobs(decoded.path) if options.logprobs else None,
    )


def _logprobs(path: Sequence[TimedToken]) -> tuple[TokenLogprob, ...] | None:
    """Returns None if the runtime did not report the log-probability of every token."""
    found = tuple(
        TokenLogprob(token=token.text.replace(WORD_BEGINS, " "), logprob=token.log_prob)
        for token in path
        if token.log_prob is not None
    )
    return found if len(found) == len(path) else None


def text_spans(path: Sequence[TimedToken], duration_s: float) -> Intervals | None:
    """Returns where in the audio the tokens of the text are; None if there are none.

    Only tokens with a letter or a digit count, because the model may write a full stop long after the sentence.
    """
    written = (token for token in path if any(letter.isalnum() for letter in token.text))
    spans = merged((Interval(token.start_s, token.end_s) for token in written), LONGEST_GAP_S)
    limited = (
        Interval(max(0.0, start_s - REACH_S), min(duration_s, end_s + REACH_S))
        for start_s, end_s in spans
        if start_s < duration_s
    )
    return tuple(limited) or None


def _with_decoding(segments: Sequence[Segment], path: Sequence[TimedToken]) -> Iterator[Segment]:
    """Yields the segments with the mean log-probability of the tokens between their start and the next one's."""
    starts_s = [segment.start_s for segment in segments]
    ranges = zip(segments, [0.0, *starts_s[1:]], [*starts_s[1:], float("inf")], strict=True)
    for segment, start_s, next_start_s in ranges:
        inside = [token.log_prob for token in path if start_s <= token.start_s < next_start_s]
        found = [log_prob for log_prob in inside if log_prob is not None]
        yield segment.model_copy(update={"decoding": Decoding(avg_logprob=fmean(found)) if found else None})

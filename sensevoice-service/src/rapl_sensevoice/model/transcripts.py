"""Converts SenseVoice's output to a `Transcript`."""

from rapl_protocol.audio import WavAudio
from rapl_protocol.transcript import Segment, TranscribeOptions, Transcript

from rapl_sensevoice.model.rich_tags import parse_rich_text
from rapl_sensevoice.model.utterances import utterances
from rapl_sensevoice.model.words import words_from_tokens
from rapl_sensevoice.runtimes.runtime import Decoded


def transcript_from(decoded: Decoded, audio: WavAudio, options: TranscribeOptions) -> Transcript:
    """Returns a transcript with one segment, or with one per utterance if `segment_timestamps` is set.

    Without text and events it has no segment.
    """
    rich, duration_s = parse_rich_text(decoded.rich_text), audio.duration_s
    if not rich.text and not rich.events:
        return Transcript(text="", language=rich.language, duration_s=duration_s)
    words = None
    if decoded.tokens is not None:
        words = words_from_tokens(rich.text, decoded.tokens, duration_s)
    segment = Segment(
        start_s=0.0, end_s=duration_s, text=rich.text, words=words,
        language=rich.language, emotion=rich.emotion, events=rich.events,
    )  # fmt: skip
    segments = utterances(segment, audio) if options.segment_timestamps else (segment,)
    if not options.word_timestamps:
        segments = tuple(each.model_copy(update={"words": None}) for each in segments)
    return Transcript(text=rich.text, language=rich.language, duration_s=duration_s, segments=segments)

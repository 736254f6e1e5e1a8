"""The options of a transcription and its result."""

import unicodedata
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from rapl_protocol.intervals import Intervals


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True)


class Word(_Wire):
    word: str
    start_s: float
    end_s: float


class Decoding(_Wire):
    """How an engine decoded a segment, in OpenAI's terms. A field is None if the engine does not report it."""

    seek: int | None = None
    """Start of the window in which the segment was decoded, in hundredths of a second."""
    tokens: tuple[int, ...] | None = None
    temperature: float | None = None
    """The temperature of the attempt that was kept."""
    avg_logprob: float | None = None
    """Mean log-probability of the tokens; finite."""
    compression_ratio: float | None = None
    """Length of the text divided by its length after compression: high for a text that repeats itself."""
    no_speech_prob: float | None = None


class TokenLogprob(_Wire):
    token: str
    """As the model writes it: a token that begins a word begins with a space."""
    logprob: float
    """Natural logarithm of its probability; finite."""


class Segment(_Wire):
    """A part of the audio with its text. Times count from the start of the audio in the request."""

    start_s: float
    end_s: float
    text: str
    """As the engine writes it: Whisper's begins with a space."""
    language: str | None = None
    """ISO 639 code that the model detected; None if it reported none."""
    emotion: str | None = None
    """Lower case, such as "happy"; None if the model reported none."""
    events: tuple[str, ...] = ()
    """Sounds other than speech, lower case, such as "applause" or "bgm"."""
    words: tuple[Word, ...] | None = None
    """None if the model returns no word timestamps."""
    decoding: Decoding | None = None
    """None if the engine reports nothing about its decoding."""

    def shifted(self, offset_s: float) -> "Segment":
        """The same segment with `offset_s` added to all of its times."""
        words = self.words and tuple(
            Word(word=w.word, start_s=w.start_s + offset_s, end_s=w.end_s + offset_s) for w in self.words
        )
        decoding = self.decoding
        if decoding and decoding.seek is not None:
            decoding = decoding.model_copy(update={"seek": decoding.seek + round(offset_s * 100)})
        return self.model_copy(
            update={
                "start_s": self.start_s + offset_s,
                "end_s": self.end_s + offset_s,
                "words": words,
                "decoding": decoding,
            }
        )


class Transcript(_Wire):
    text: str
    """The text without tags; "" if there is no speech."""
    language: str | None = None
    duration_s: float
    """Length of the audio in seconds."""
    segments: tuple[Segment, ...] = ()
    text_spans: Intervals | None = None
    """Where in the audio the engine found the text, as a set of intervals; None if it does not measure times, and then
    the times of the segments only span the audio."""
    logprobs: tuple[TokenLogprob, ...] | None = None
    """The tokens of the text in order; None if they were not requested or the engine has none."""
    is_truncated: bool = False
    """Whether the engine stopped at its token limit, so that the end of the text may be missing."""


class TranscribeOptions(_Wire):
    model: str
    """The engine's own model id."""
    language: str | None = None
    """ISO 639 code, lower case; None lets the model detect it."""
    languages: tuple[str, ...] = ()
    """ISO 639 codes of the languages that may be spoken, if `language` is None; the model detects one of them. Empty:
    all of the model's."""
    prompt: str | None = None
    """Text that the model may use as context."""
    keywords: tuple[str, ...] = ()
    """Names and terms that probably occur in the audio."""
    itn: bool | None = None
    """Whether the text has numerals and punctuation ("inverse text normalisation"); None: as the model usually writes
    it."""
    temperature: float | None = None
    """Sampling temperature, 0 to 1; None: the model's default."""
    word_timestamps: bool = False
    words_are_optional: bool = False
    """Whether a model without word timestamps transcribes without them. If not, it refuses `word_timestamps`."""
    segment_timestamps: bool = False
    """Whether to return one segment for each utterance, with its times; otherwise one segment may cover all audio."""
    logprobs: bool = False
    """Whether to return the log-probability of each token of the text, if the engine has them."""
    translate: bool = False
    """Translate into English instead of transcribing."""
    is_long: bool = False
    """Whether the audio is a segment of a long recording; short audio goes first in the queue."""
    draft: Transcript | None = None
    """What the same model wrote for a beginning of this audio, or for nearly the same audio. The transcript does not
    depend on it: an engine only checks it faster than it computes a text. Others ignore it."""


def joined_logprobs(transcripts: Iterable[Transcript]) -> tuple[TokenLogprob, ...] | None:
    """The tokens of consecutive transcripts; None if one of them has text and no log-probabilities."""
    joined: list[TokenLogprob] = []
    for each in transcripts:
        if each.logprobs is None and each.text:
            return None
        joined += each.logprobs or ()
    return tuple(joined)


def join_texts(texts: Iterable[str]) -> str:
    """Joins the texts of consecutive segments, with spaces between them if the script separates words by spaces."""
    joined = ""
    for text in (t.strip() for t in texts):
        if joined and text and not (_is_wide(joined[-1]) or _is_wide(text[0])):
            joined += " "
        joined += text
    return joined


def _is_wide(character: str) -> bool:
    # Chinese and Japanese have no spaces between sentences. Korean characters are wide too, but Korean has spaces.
    return unicodedata.east_asian_width(character) in "WF" and not "\uac00" <= character <= "\ud7a3"

"""The options of a transcription and its result."""

import unicodedata
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True)


class TranscribeOptions(_Wire):
    model: str
    """The engine's own model id."""
    language: str | None = None
    """ISO 639 code, lower case; None lets the model detect it."""
    prompt: str | None = None
    """Text that the model may use as context."""
    keywords: tuple[str, ...] = ()
    """Names and terms that probably occur in the audio."""
    temperature: float | None = None
    """Sampling temperature, 0 to 1; None: the model's default."""
    word_timestamps: bool = False
    segment_timestamps: bool = False
    """Whether to return one segment for each utterance, with its times; otherwise one segment may cover all audio."""
    translate: bool = False
    """Translate into English instead of transcribing."""
    is_long: bool = False
    """Whether the audio is a segment of a long recording; short audio goes first in the queue."""


class Word(_Wire):
    word: str
    start_s: float
    end_s: float


class Segment(_Wire):
    """A part of the audio with its text. Times count from the start of the audio in the request."""

    start_s: float
    end_s: float
    text: str
    language: str | None = None
    """ISO 639 code that the model detected; None if it reported none."""
    emotion: str | None = None
    """Lower case, such as "happy"; None if the model reported none."""
    events: tuple[str, ...] = ()
    """Sounds other than speech, lower case, such as "applause" or "bgm"."""
    words: tuple[Word, ...] | None = None
    """None if the model returns no word timestamps."""

    def shifted(self, offset_s: float) -> "Segment":
        """The same segment with `offset_s` added to all of its times."""
        words = self.words and tuple(
            Word(word=w.word, start_s=w.start_s + offset_s, end_s=w.end_s + offset_s) for w in self.words
        )
        return self.model_copy(
            update={"start_s": self.start_s + offset_s, "end_s": self.end_s + offset_s, "words": words}
        )


class Transcript(_Wire):
    text: str
    """The text without tags; "" if there is no speech."""
    language: str | None = None
    duration_s: float
    """Length of the audio in seconds."""
    segments: tuple[Segment, ...] = ()
    is_truncated: bool = False
    """Whether the engine stopped at its token limit, so that the end of the text may be missing."""


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

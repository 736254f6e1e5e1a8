"""What an engine is asked for, and what it answers."""

import unicodedata
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True)


class TranscribeOptions(_Wire):
    model: str
    """The engine's own model id."""
    language: str | None = None
    """ISO 639 code, lower case; None asks the model to detect it."""
    prompt: str | None = None
    """Text that the model may take as context."""
    keywords: tuple[str, ...] = ()
    """Names and terms that are likely to occur."""
    temperature: float | None = None
    """Sampling temperature, 0 to 1; None leaves it to the model."""
    word_timestamps: bool = False
    segment_timestamps: bool = False
    """Whether a segment an utterance is wanted, with its times; an engine that has none gives one for all of it."""
    translate: bool = False
    """Into English, instead of transcribing."""
    is_long: bool = False
    """Whether the audio is a piece of something long: what is short and waited for by somebody goes first."""


class Word(_Wire):
    word: str
    start_s: float
    end_s: float


class Segment(_Wire):
    """A stretch of audio with its text. Times count from the start of the audio that the engine was given."""

    start_s: float
    end_s: float
    text: str
    language: str | None = None
    """ISO 639 code as the model detected it; None where it did not say."""
    emotion: str | None = None
    """Lower case, such as "happy"; None where the model named none."""
    events: tuple[str, ...] = ()
    """What is heard apart from words, lower case, such as "applause" or "bgm"."""
    words: tuple[Word, ...] | None = None
    """None where no times of words are known."""

    def shifted(self, offset_s: float) -> "Segment":
        """The same segment on a time axis on which the engine's audio began at `offset_s`."""
        words = self.words and tuple(
            Word(word=w.word, start_s=w.start_s + offset_s, end_s=w.end_s + offset_s) for w in self.words
        )
        return self.model_copy(
            update={"start_s": self.start_s + offset_s, "end_s": self.end_s + offset_s, "words": words}
        )


class Transcript(_Wire):
    text: str
    """Without tags; "" where nothing was said."""
    language: str | None = None
    duration_s: float
    """Of the audio, not of the work."""
    segments: tuple[Segment, ...] = ()
    is_truncated: bool = False
    """Whether the engine stopped at its limit of tokens, so that the end of what was said may be missing."""


def join_texts(texts: Iterable[str]) -> str:
    """Joins the texts of consecutive segments, with a space only where the script puts spaces between words."""
    joined = ""
    for text in (t.strip() for t in texts):
        if joined and text and not (_is_wide(joined[-1]) or _is_wide(text[0])):
            joined += " "
        joined += text
    return joined


def _is_wide(character: str) -> bool:
    # Chinese and Japanese put no space between sentences; Korean, though wide, does.
    return unicodedata.east_asian_width(character) in "WF" and not "\uac00" <= character <= "\ud7a3"

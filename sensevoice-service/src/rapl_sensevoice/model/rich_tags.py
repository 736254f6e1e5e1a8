"""Parses the tags that SenseVoice writes between `<|` and `|>`.

    <|en|><|NEUTRAL|><|Speech|><|withitn|>Set volume 5.  ->  text "Set volume 5.", language "en", emotion "neutral"

FunASR's post-processor is not used: it turns tags into emoji and deletes every literal "The.".
"""

import re
from dataclasses import dataclass

from rapl_protocol.transcript import join_texts

LANGUAGES = ("zh", "en", "yue", "ja", "ko")
"""ISO 639 codes of the languages that SenseVoice was trained on; they are also its tags."""

# Source: emo_set and event_dict in funasr/utils/postprocess_utils.py, FunASR 1.4.16.
EMOTIONS = frozenset({"happy", "sad", "angry", "neutral", "fearful", "disgusted", "surprised"})
EVENTS = frozenset({"bgm", "applause", "laughter", "cry", "sneeze", "breath", "cough"})

_NO_SPEECH = "nospeech"
_TAG = re.compile(r"<\|([^|]*)\|>")


@dataclass(frozen=True, slots=True)
class RichText:
    text: str
    """Without tags; "" if the model found no speech."""
    language: str | None = None
    emotion: str | None = None
    events: tuple[str, ...] = ()


def parse_rich_text(rich_text: str) -> RichText:
    """Splits text and tags. Tags without a known value (`EMO_UNKNOWN`, `Event_UNK`, `withitn`, ...) are dropped."""
    tags = [tag.strip().lower() for tag in _TAG.findall(rich_text)]
    # A tag becomes a space only in scripts that put spaces between words. The model also writes a space before a Latin
    # word in Chinese or Japanese text, and none behind it; people type none.
    words = (word for part in _TAG.split(rich_text)[::2] for word in part.split())
    text = "" if _NO_SPEECH in tags[:1] else join_texts(words)
    return RichText(
        text,
        language=next((tag for tag in tags if tag in LANGUAGES), None),
        emotion=next((tag for tag in tags if tag in EMOTIONS), None),
        events=tuple(dict.fromkeys(tag for tag in tags if tag in EVENTS)),
    )

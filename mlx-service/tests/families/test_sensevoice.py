"""SenseVoice: its arguments, and the language, emotion and event of its result."""

from types import SimpleNamespace

import pytest
from rapl_mlx.families.sensevoice import SenseVoice
from rapl_protocol.transcript import TranscribeOptions

DURATION_S = 3.0
OPTIONS = TranscribeOptions(model="a/b")


def test_it_detects_the_language_and_writes_punctuation():
    arguments = SenseVoice().arguments(OPTIONS, DURATION_S)

    assert arguments == {"verbose": False, "use_itn": True, "language": "auto"}
    assert not SenseVoice().capabilities.temperature


@pytest.mark.parametrize(
    ("fields", "language", "emotion", "events"),
    [
        ({"language": "en", "emotion": "happy", "event": "Speech"}, "en", "happy", ()),
        ({"language": "yue", "emotion": "unk", "event": "BGM"}, "yue", None, ("bgm",)),
        ({"language": "unknown", "emotion": "token_7", "event": "token_9"}, None, None, ()),
    ],
)
def test_a_transcript_has_language_emotion_and_event_if_the_model_names_one(
    fields: dict[str, str], language: str | None, emotion: str | None, events: tuple[str, ...]
):
    result = SimpleNamespace(text="one", language=fields["language"], segments=[{"text": "one", **fields}])
    transcript = SenseVoice().transcript(result, OPTIONS, DURATION_S)

    [segment] = transcript.segments
    assert (transcript.language, segment.emotion, segment.events) == (language, emotion, events)

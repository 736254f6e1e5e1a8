"""SenseVoice also detects language, emotion and events. Source: mlx_audio/stt/models/sensevoice, 0.6.2."""

from typing import Any

from rapl_protocol.models import Capabilities
from rapl_protocol.transcript import TranscribeOptions, Transcript

from rapl_mlx.families.languages import language_code
from rapl_mlx.families.results import NonStreamingFamily, make_transcript

LANGUAGES = ("zh", "en", "yue", "ja", "ko")
_EMOTIONS = frozenset({"happy", "sad", "angry", "neutral", "fearful", "disgusted", "surprised"})
_EVENTS = frozenset({"bgm", "laughter", "applause"})


class SenseVoice(NonStreamingFamily):
    capabilities = Capabilities(languages=LANGUAGES, emotion_and_events=True)

    def arguments(self, options: TranscribeOptions, duration_s: float) -> dict[str, Any]:
        # Without use_itn the text has no punctuation and no capital letters.
        return {"verbose": False, "use_itn": True, "language": options.language or "auto"}

    def transcript(self, result: Any, options: TranscribeOptions, duration_s: float) -> Transcript:
        language = language_code(result.language) if result.language in LANGUAGES else None
        transcript = make_transcript(result.text, language, duration_s)
        fields = (result.segments or [{}])[0]
        emotion, event = (str(fields.get(name, "")).lower() for name in ("emotion", "event"))
        update = {
            "emotion": emotion if emotion in _EMOTIONS else None,
            "events": (event,) if event in _EVENTS else (),
        }
        segments = tuple(segment.model_copy(update=update) for segment in transcript.segments)
        return transcript.model_copy(update={"segments": segments})

"""Whisper. Source: mlx_audio/stt/models/whisper/whisper.py, 0.6.2."""

import importlib
from collections.abc import Mapping
from typing import Any, Self

from rapl_protocol.models import Capabilities
from rapl_protocol.transcript import Segment, TranscribeOptions, Transcript

from rapl_mlx.families.languages import language_code
from rapl_mlx.families.results import NonStreamingFamily, make_segment, make_transcript, make_word


class Whisper(NonStreamingFamily):
    def __init__(self, languages: tuple[str, ...]) -> None:
        """`languages` are the ISO codes of the checkpoint, which accepts any other word without an error."""
        is_english_only = languages == ("en",)
        self.capabilities = Capabilities(
            languages=languages,
            language_detection=not is_english_only,
            prompt=True,
            keywords=True,
            temperature=True,
            word_timestamps=True,
            translation=not is_english_only,
        )

    @classmethod
    def of(cls, model: Any) -> Self:
        if not model.is_multilingual:
            return cls(("en",))
        tokenizer = importlib.import_module("mlx_audio.stt.models.whisper.tokenizer")
        return cls(tuple(tokenizer.LANGUAGES)[: model.num_languages])

    def arguments(self, options: TranscribeOptions, duration_s: float) -> dict[str, Any]:
        # With verbose=False it shows a progress bar.
        arguments: dict[str, Any] = {"verbose": None, "word_timestamps": options.word_timestamps}
        if options.language:
            arguments["language"] = options.language
        if options.prompt:
            arguments["initial_prompt"] = options.prompt
        if options.keywords:
            arguments["hotwords"] = list(options.keywords)
        if options.translate:
            arguments["task"] = "translate"
        if options.temperature is not None:
            arguments["temperature"] = options.temperature
        return arguments

    def transcript(self, result: Any, options: TranscribeOptions, duration_s: float) -> Transcript:
        language = language_code(result.language) if result.text.strip() else None
        segments = (_segment(segment, language, duration_s) for segment in result.segments or ())
        return make_transcript(result.text, language, duration_s, segments)


def _segment(raw: Mapping[str, Any], language: str | None, duration_s: float) -> Segment | None:
    words = raw.get("words")
    if words is not None:
        words = [make_word(w["word"], w["start"], w["end"], duration_s) for w in words]
    return make_segment(raw.get("start"), raw.get("end"), raw.get("text", ""), language, duration_s, words)

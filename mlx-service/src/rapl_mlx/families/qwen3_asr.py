"""Qwen3-ASR. Source: mlx_audio/stt/models/qwen3_asr/qwen3_asr.py, 0.6.2."""

from collections.abc import Iterable
from typing import Any, Self

from rapl_protocol.models import Capabilities
from rapl_protocol.transcript import TranscribeOptions, Transcript

from rapl_mlx.families.languages import NAME_BY_CODE, code_of
from rapl_mlx.families.results import make_transcript, max_tokens_for


class Qwen3Asr:
    def __init__(self, language_names: Iterable[str] = ()) -> None:
        """`language_names` are the checkpoint's, in English; without any it is taken to know all of Qwen3-ASR's."""
        codes = tuple(code for name in language_names if (code := code_of(name)) in NAME_BY_CODE)
        self.capabilities = Capabilities(languages=codes or tuple(NAME_BY_CODE), prompt=True, keywords=True)

    @classmethod
    def of(cls, model: Any) -> Self:
        return cls(model.config.support_languages or ())

    def arguments(self, options: TranscribeOptions, duration_s: float) -> dict[str, Any]:
        arguments: dict[str, Any] = {"verbose": False, "max_tokens": max_tokens_for(duration_s)}
        if options.language:
            # By its name: a code goes into the model's prompt as it is, and words get lost.
            arguments["language"] = NAME_BY_CODE[options.language]
        if options.prompt:
            arguments["system_prompt"] = options.prompt
        if options.keywords:
            arguments["hotwords"] = list(options.keywords)
        if options.temperature is not None:
            arguments["temperature"] = options.temperature
        return arguments

    def transcript(self, result: Any, options: TranscribeOptions, duration_s: float) -> Transcript:
        """Its segments are where the audio was cut, not where somebody spoke; so there is one, which spans it all."""
        languages = result.language if isinstance(result.language, list) else [result.language]
        text = result.text.strip()
        language = options.language or (code_of(languages[0]) if text and languages else None)
        return make_transcript(text, language, duration_s)

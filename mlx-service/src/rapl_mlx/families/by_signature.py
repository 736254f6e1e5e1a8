"""Any family without an adapter of its own: it is given what its signature names and we know the meaning of."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from inspect import Parameter
from typing import Any, Self

from rapl_protocol.models import Capabilities
from rapl_protocol.transcript import Segment, TranscribeOptions, Transcript

from rapl_mlx.contract import ModelFailed
from rapl_mlx.families.results import WholeResult, make_segment, make_transcript, max_tokens_for

_LANGUAGE_WORDS = frozenset({"language", "lang_code", "source_language", "source_lang"})


@dataclass(frozen=True)
class Hints:
    """Which parameters of a family take a hint, and in which sense."""

    language: tuple[str, ...] = ()
    """Take the ISO code of the language that is spoken."""
    prompt: str | None = None
    """Takes text as context. One that replaces the model's instruction is none."""
    keywords: str | None = None
    """Takes a list of terms."""
    detects_language: bool = True


HINTS: dict[str, Hints] = {
    # Both, for with two different ones it translates.
    "canary": Hints(language=("source_lang", "target_lang"), detects_language=False),
    "cohere_asr": Hints(language=("language",), detects_language=False),
    "fun_asr_nano": Hints(language=("language",), prompt="context"),
    # Its `language` is the one to translate into.
    "granite_speech": Hints(language=("source_language",), keywords="hotwords"),
    "sensevoice": Hints(language=("language",)),
    "vibevoice_asr": Hints(prompt="context", keywords="hotwords"),
    "voxtral": Hints(language=("language",), detects_language=False),
}


class BySignature(WholeResult):
    def __init__(self, parameters: Mapping[str, Parameter], hints: Hints, languages: tuple[str, ...] | None) -> None:
        """`parameters` are those of `generate` after the audio; `languages` the model's ISO codes, if it says."""
        self._parameters = parameters
        self._hints = hints
        self.capabilities = Capabilities(
            languages=languages if hints.language else _none_or_refused(parameters),
            language_detection=hints.detects_language,
            prompt=hints.prompt is not None,
            keywords=hints.keywords is not None,
        )

    @classmethod
    def of(cls, model: Any, name: str) -> Self:
        generate = getattr(model, "generate", None)
        parameters = dict(list(inspect.signature(generate).parameters.items())[1:]) if callable(generate) else {}
        if not callable(generate) or any(_is_required(p) for p in parameters.values()):
            raise ModelFailed("it does not turn speech alone into text", "Choose a speech-to-text model.")
        languages = getattr(getattr(model, "config", None), "supported_languages", None)
        return cls(parameters, HINTS.get(name, Hints()), tuple(languages) if languages else None)

    def arguments(self, options: TranscribeOptions, duration_s: float) -> dict[str, Any]:
        offered: dict[str, Any] = {"verbose": False, "max_tokens": max_tokens_for(duration_s)}
        if options.temperature is not None:
            offered["temperature"] = options.temperature
        arguments = {name: value for name, value in offered.items() if name in self._parameters}
        if options.language:
            arguments.update(dict.fromkeys(self._hints.language, options.language))
        if options.prompt and self._hints.prompt:
            arguments[self._hints.prompt] = options.prompt
        if options.keywords and self._hints.keywords:
            arguments[self._hints.keywords] = list(options.keywords)
        return arguments

    def transcript(self, result: Any, options: TranscribeOptions, duration_s: float) -> Transcript:
        """The language is the one that was asked for: what other families return may be a default, not a detection."""
        language = options.language if self._hints.language else None
        return make_transcript(_text(result), language, duration_s, _segments(result, language, duration_s))


def _none_or_refused(parameters: Mapping[str, Parameter]) -> tuple[str, ...] | None:
    return () if _LANGUAGE_WORDS & set(parameters) else None


def _is_required(parameter: Parameter) -> bool:
    is_named = parameter.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    return is_named and parameter.default is Parameter.empty


def _text(result: Any) -> str:
    if isinstance(result, str):
        return result
    return result.text or ""


def _segments(result: Any, language: str | None, duration_s: float) -> Iterator[Segment | None]:
    """Of an STTOutput (dicts) or an AlignedResult (sentences), where the times are real."""
    for raw in getattr(result, "segments", None) or getattr(result, "sentences", None) or ():
        fields = raw if isinstance(raw, Mapping) else vars(raw)
        text = fields.get("text") or ""
        yield make_segment(fields.get("start"), fields.get("end"), text, language, duration_s)

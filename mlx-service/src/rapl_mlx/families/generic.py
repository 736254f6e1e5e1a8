"""The adapter for families that a row of traits describes; a family without a row is described by its signature."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from inspect import Parameter
from typing import Any, Self

from rapl_protocol.models import Capabilities
from rapl_protocol.transcript import Segment, TranscribeOptions, Transcript, join_texts

from rapl_mlx.child.contract import ModelFailed
from rapl_mlx.families.results import ResultListener, make_segment, make_transcript, max_tokens_for
from rapl_mlx.families.traits import TRAITS, Traits, traits_from_signature

_STRUCTURED = ("[", "{", "```")
"""The beginnings of a text that is a list of segments in JSON."""


class GenericFamily:
    def __init__(self, traits: Traits, language_names: Mapping[str, str] | None = None) -> None:
        """`language_names` maps codes to the names that the checkpoint expects; None if it has no list of languages."""
        self._traits = traits
        self._language_names = language_names or {}
        codes = tuple(language_names) if language_names is not None else traits.languages
        self.capabilities = Capabilities(
            languages=codes if traits.language or codes == () else None,
            language_detection=traits.detects_language,
            prompt=traits.prompt is not None,
            keywords=traits.keywords is not None,
            temperature=traits.temperature,
        )

    @classmethod
    def of(cls, model: Any, name: str) -> Self:
        """Raises: ModelFailed, for a model that needs more than speech or returns no text."""
        generate = getattr(model, "generate", None)
        parameters = dict(list(inspect.signature(generate).parameters.items())[1:]) if callable(generate) else {}
        if not callable(generate) or any(_is_required(p) for p in parameters.values()):
            raise ModelFailed("it is not a speech-to-text model", "Choose a speech-to-text model.")
        traits = TRAITS.get(name) or traits_from_signature(parameters)
        return cls(traits, _language_names(model, name) if traits.languages is None else None)

    def arguments(self, options: TranscribeOptions, duration_s: float) -> dict[str, Any]:
        traits = self._traits
        arguments = dict(traits.fixed)
        if traits.max_tokens:
            arguments["max_tokens"] = self._token_limit(duration_s)
        if traits.temperature and options.temperature is not None:
            arguments["temperature"] = options.temperature
        if options.language:
            arguments |= dict.fromkeys(traits.language, self._language_names.get(options.language, options.language))
        else:
            arguments |= traits.undetermined
        if options.keywords and traits.keywords:
            arguments[traits.keywords] = list(options.keywords)
        if options.prompt and traits.prompt and (traits.prompt_and_keywords or traits.keywords not in arguments):
            arguments[traits.prompt] = options.prompt
        return arguments

    def generate(self, model: Any, wav_path: str, arguments: dict[str, Any], listener: ResultListener) -> Any:
        if not self._traits.streams:
            return model.generate(wav_path, **arguments)
        result = model.generate(wav_path, stream=True, **arguments)
        # Some families accept `stream` but return a whole result.
        return _collect(result, listener) if hasattr(result, "__next__") else result

    def transcript(self, result: Any, options: TranscribeOptions, duration_s: float) -> Transcript:
        """Uses the requested language: the language that these families return may be a default, not a detected one."""
        language = options.language if self._traits.language else None
        segments = _segments(result, language, duration_s) if self._traits.has_times else None
        tokens = getattr(result, "generation_tokens", 0) or 0
        is_truncated = self._traits.max_tokens and tokens >= self._token_limit(duration_s)
        return make_transcript(_text(result), language, duration_s, segments, is_truncated=is_truncated)

    def _token_limit(self, duration_s: float) -> int:
        return min(max_tokens_for(duration_s), self._traits.most_tokens or max_tokens_for(duration_s))


@dataclass
class StreamedResult:
    """The text, tokens and segments of a stream."""

    text: str = ""
    generation_tokens: int = 0
    segments: list[Any] = field(default_factory=list)


def _collect(stream: Iterator[Any], listener: ResultListener) -> StreamedResult:
    """Collects texts, or results with the new text and the number of tokens so far. Sends the text to the listener."""
    result = StreamedResult()
    pending = ""
    for item in stream:
        listener.raise_if_cancelled()
        result.generation_tokens = getattr(item, "generation_tokens", 0) or result.generation_tokens
        pending += item if isinstance(item, str) else item.text or ""
        # White space is sent only when text follows, because the transcript has none at its ends.
        grown = pending.rstrip()
        pending = pending[len(grown) :]
        grown = grown if result.text else grown.lstrip()
        result.text += grown
        listener.send_text(grown)
    return result


def _language_names(model: Any, name: str) -> dict[str, str] | None:
    """Returns the language codes of this checkpoint and the names that it expects; None if it has no list."""
    match name:
        case "canary":
            tokens = (str(token) for token in model._tokenizer.token2id)
            codes = [t[2:-2] for t in tokens if t.startswith("<|") and len(t) == 6 and t[2:-2].isalpha()]
        case "nemotron_asr":
            keys = [key for key in model.prompt_dictionary if key != "auto"]
            return {key.partition("-")[0].lower(): key for key in reversed(keys)} or None
        case _:
            codes = getattr(getattr(model, "config", None), "supported_languages", None)
    return {code: code for code in codes} if codes else None


def _is_required(parameter: Parameter) -> bool:
    is_named = parameter.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    return is_named and parameter.default is Parameter.empty


def _text(result: Any) -> str:
    """Returns the text without marks of speakers and times, if the model writes them into its text."""
    if isinstance(result, str):
        return result
    text = (result.text or "").strip()
    if text.startswith(_STRUCTURED):
        texts = join_texts(_segment_text(fields) for fields in _raw_segments(result))
        return texts or text
    return text


def _segments(result: Any, language: str | None, duration_s: float) -> Iterator[Segment | None]:
    for fields in _raw_segments(result):
        yield make_segment(fields.get("start"), fields.get("end"), _segment_text(fields), language, duration_s)


def _raw_segments(result: Any) -> Iterator[Mapping[str, Any]]:
    """Yields the segments of an STTOutput (dicts) or the sentences of an AlignedResult, as mappings."""
    for raw in getattr(result, "segments", None) or getattr(result, "sentences", None) or ():
        yield raw if isinstance(raw, Mapping) else vars(raw)


def _segment_text(fields: Mapping[str, Any]) -> str:
    text = str(fields.get("text") or "")
    if fields.get("speaker_id") is not None:
        text = text.removeprefix(f"[{fields['speaker_id']}] ")
    return text.strip()

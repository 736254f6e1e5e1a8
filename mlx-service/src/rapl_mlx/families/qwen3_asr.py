"""Qwen3-ASR. Source: mlx_audio/stt/models/qwen3_asr/qwen3_asr.py, 0.6.2.

Its own `generate` and `stream_transcribe` are not used: `generate` returns "English" if the model named no language,
and `stream_transcribe` always drops the first three tokens. Both call `stream_generate`, and so does this module.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Self

from rapl_protocol.models import Capabilities
from rapl_protocol.transcript import TranscribeOptions, Transcript

from rapl_mlx.families.drafts import DraftedQwen3Asr
from rapl_mlx.families.languages import NAME_BY_CODE, language_code
from rapl_mlx.families.results import ResultListener, make_transcript, max_tokens_for

_MIN_SAMPLES = 16_000
"""mlx-audio pads shorter audio to this length; the feature extractor fails on a few milliseconds."""
_LANGUAGE, _TEXT = "language ", "<asr_text>"
_BARE_PREFIX = re.compile(r"\s*(language(\s+\w+)?)?\s*")


class Qwen3Asr:
    def __init__(self, language_names: Iterable[str] = ()) -> None:
        """`language_names` is the checkpoint's list, in English; if it is empty, all languages of Qwen3-ASR."""
        codes = tuple(code for name in language_names if (code := language_code(name)) in NAME_BY_CODE)
        self.capabilities = Capabilities(
            languages=codes or tuple(NAME_BY_CODE),
            language_choice=True,
            prompt=True,
            keywords=True,
            temperature=True,
            drafts=True,
        )

    @classmethod
    def of(cls, model: Any) -> Self:
        return cls(model.config.support_languages or ())

    def arguments(self, options: TranscribeOptions, duration_s: float) -> dict[str, Any]:
        arguments: dict[str, Any] = {"max_tokens": max_tokens_for(duration_s)}
        if options.language:
            # By name: mlx-audio puts a code into the prompt unchanged, and then the text loses words.
            arguments["language"] = NAME_BY_CODE[options.language]
        if options.prompt:
            arguments["system_prompt"] = options.prompt
        if options.keywords:
            arguments["hotwords"] = list(options.keywords)
        if options.temperature is not None:
            arguments["temperature"] = options.temperature
        if options.draft:
            arguments["draft"] = _written(options.draft, arguments.get("language"))
        return arguments

    def generate(self, model: Any, wav_path: str, arguments: dict[str, Any], listener: ResultListener) -> "DecodedText":
        decoded = DecodedText(arguments.get("language"), listener)
        for piece in _pieces(model, wav_path, **arguments):
            listener.raise_if_cancelled()
            decoded.add(piece)
        decoded.finish()
        decoded.is_truncated = decoded.pieces > arguments["max_tokens"]  # the last piece is not a token
        return decoded

    def transcript(self, result: "DecodedText", options: TranscribeOptions, duration_s: float) -> Transcript:
        """Returns one segment that spans the audio, because the model returns no times."""
        language = language_code(result.language)
        return make_transcript(result.text, language, duration_s, is_truncated=result.is_truncated)


class Phonon(Qwen3Asr):
    """Qwen3-ASR with a loop of its own, which does not use drafts. Source: mlx_audio/stt/models/phonon/phonon.py."""

    def __init__(self, language_names: Iterable[str] = ()) -> None:
        super().__init__(language_names)
        self.capabilities = self.capabilities.model_copy(update={"drafts": False})


class MegaAsr(Qwen3Asr):
    """Qwen3-ASR with a second set of weights for noisy audio. Source: mlx_audio/stt/models/mega_asr/mega_asr.py."""

    @classmethod
    def of(cls, model: Any) -> Self:
        return super().of(model._asr)

    def generate(self, model: Any, wav_path: str, arguments: dict[str, Any], listener: ResultListener) -> "DecodedText":
        model._set_lora(bool(model._router.route(wav_path)["use_lora"]))
        return super().generate(model._asr, wav_path, arguments, listener)


class DecodedText:
    """The output of the model, added piece by piece: `language English<asr_text>one two`, or only the text.

    Args:
        language: the requested language by its English name. Then the model writes only the text.
        listener: receives the text as it grows, without white space at its ends.
    """

    def __init__(self, language: str | None = None, listener: ResultListener | None = None) -> None:
        self.language = language
        """The English name of the language; None if the model named none."""
        self.text = ""
        self.pieces = 0
        self.is_truncated = False
        self._listener = listener or ResultListener()
        self._pending = ""
        self._is_past_prefix = language is not None

    def add(self, piece: str) -> None:
        self.pieces += 1
        self._pending += piece
        if not self._is_past_prefix:
            self._read_prefix()
        if self._is_past_prefix:
            self._emit()

    def finish(self) -> None:
        """Drops white space at the end, and a prefix without text."""
        if not self._is_past_prefix and not _BARE_PREFIX.fullmatch(self._pending):
            self._is_past_prefix = True
            self._emit()

    def _read_prefix(self) -> None:
        before, found, after = self._pending.partition(_TEXT)
        if found and before.startswith(_LANGUAGE):
            self.language, self._pending, self._is_past_prefix = before[len(_LANGUAGE) :].strip(), after, True
        elif not _LANGUAGE.startswith(before[: len(_LANGUAGE)]):
            self._is_past_prefix = True

    def _emit(self) -> None:
        """Moves pending text to `text` and sends it. White space at its end stays pending until more text follows."""
        grown = self._pending.rstrip()
        self._pending = self._pending[len(grown) :]
        grown = grown if self.text else grown.lstrip()
        self.text += grown
        self._listener.send_text(grown)


def _written(draft: Transcript, language: str | None) -> str:
    """Returns the text as the model writes it; `language` is the requested one."""
    name = NAME_BY_CODE.get(draft.language or "")
    return draft.text if language or not name else f"{_LANGUAGE}{name}{_TEXT}{draft.text}"


def _pieces(
    model: Any,
    wav_path: str,
    max_tokens: int,
    language: str | None = None,
    system_prompt: str | None = None,
    hotwords: list[str] | None = None,
    temperature: float = 0.0,
    draft: str = "",
) -> Iterator[str]:
    """Yields the output of the model: one piece for each token, with whole characters only, and one at the end."""
    import numpy as np
    from mlx_audio.lm.generate import StreamingDetokenizer
    from mlx_audio.lm.sample_utils import make_sampler
    from mlx_audio.stt.utils import load_audio, merge_hotwords

    audio = np.array(load_audio(wav_path))
    audio = np.pad(audio, (0, max(0, _MIN_SAMPLES - len(audio))))
    detokenizer = StreamingDetokenizer(model._tokenizer, skip_special_tokens=True)
    drafted = DraftedQwen3Asr(model, model._tokenizer.encode(draft) if draft else ())
    # The method of the model, but with the model that knows the draft.
    for token, _ in model.stream_generate.__func__(
        drafted,
        audio,
        max_tokens=max_tokens,
        sampler=make_sampler(temperature),
        language=language,
        system_prompt=merge_hotwords(system_prompt, hotwords),
    ):
        detokenizer.add_token(int(token))
        yield detokenizer.last_segment
    detokenizer.finalize()
    yield detokenizer.last_segment

"""Qwen3-ASR. Source: mlx_audio/stt/models/qwen3_asr/qwen3_asr.py, 0.6.2.

Its own `generate` and `stream_transcribe` are not used: the one says "English" where the model named no language, the
other drops the first three tokens unseen, whatever they are. Both stand on `stream_generate`, and so does this.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Self

from rapl_protocol.models import Capabilities
from rapl_protocol.transcript import TranscribeOptions, Transcript

from rapl_mlx.families.languages import NAME_BY_CODE, language_code
from rapl_mlx.families.results import ResultListener, make_transcript, max_tokens_for

_MIN_SAMPLES = 16_000
"""What mlx-audio pads shorter audio to; the feature extractor makes nothing of a few milliseconds."""
_LANGUAGE, _TEXT = "language ", "<asr_text>"
_BARE_PREFIX = re.compile(r"\s*(language(\s+\w+)?)?\s*")


class Qwen3Asr:
    def __init__(self, language_names: Iterable[str] = ()) -> None:
        """`language_names` are the checkpoint's, in English; without any it is taken to know all of Qwen3-ASR's."""
        codes = tuple(code for name in language_names if (code := language_code(name)) in NAME_BY_CODE)
        self.capabilities = Capabilities(
            languages=codes or tuple(NAME_BY_CODE), prompt=True, keywords=True, temperature=True
        )

    @classmethod
    def of(cls, model: Any) -> Self:
        return cls(model.config.support_languages or ())

    def arguments(self, options: TranscribeOptions, duration_s: float) -> dict[str, Any]:
        arguments: dict[str, Any] = {"max_tokens": max_tokens_for(duration_s)}
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

    def generate(self, model: Any, wav_path: str, arguments: dict[str, Any], listener: ResultListener) -> "DecodedText":
        decoded = DecodedText(arguments.get("language"), listener)
        for piece in _pieces(model, wav_path, **arguments):
            listener.raise_if_cancelled()
            decoded.add(piece)
        decoded.finish()
        decoded.is_truncated = decoded.pieces > arguments["max_tokens"]  # the last piece is no token
        return decoded

    def transcript(self, result: "DecodedText", options: TranscribeOptions, duration_s: float) -> Transcript:
        """The model gives no times: there is one segment, which spans the audio."""
        language = language_code(result.language) if result.text else None
        return make_transcript(result.text, language, duration_s, is_truncated=result.is_truncated)


class MegaAsr(Qwen3Asr):
    """Qwen3-ASR with a second set of weights for noisy audio. Source: mlx_audio/stt/models/mega_asr/mega_asr.py."""

    @classmethod
    def of(cls, model: Any) -> Self:
        return super().of(model._asr)

    def generate(self, model: Any, wav_path: str, arguments: dict[str, Any], listener: ResultListener) -> "DecodedText":
        model._set_lora(bool(model._router.route(wav_path)["use_lora"]))
        return super().generate(model._asr, wav_path, arguments, listener)


class DecodedText:
    """What the model writes, piece by piece: `language English<asr_text>one two`, or the text alone.

    Args:
        language: the name that the model was told; it then writes the text alone.
        listener: is told the text as it grows, without white space around it.
    """

    def __init__(self, language: str | None = None, listener: ResultListener | None = None) -> None:
        self.language = language
        """Its English name; None where the model named none."""
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
        """White space at the end is dropped, and so is a prefix that was all the model wrote."""
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
        """Moves what is pending into the text, but for white space of which nobody knows yet what follows."""
        grown = self._pending.rstrip()
        self._pending = self._pending[len(grown) :]
        grown = grown if self.text else grown.lstrip()
        self.text += grown
        self._listener.send_text(grown)


def _pieces(
    model: Any,
    wav_path: str,
    max_tokens: int,
    language: str | None = None,
    system_prompt: str | None = None,
    hotwords: list[str] | None = None,
    temperature: float = 0.0,
) -> Iterator[str]:
    """What the model writes, a piece a token and one at the end, as far as tokens make whole characters."""
    import numpy as np
    from mlx_audio.lm.generate import StreamingDetokenizer
    from mlx_audio.lm.sample_utils import make_sampler
    from mlx_audio.stt.utils import load_audio, merge_hotwords

    audio = np.array(load_audio(wav_path))
    audio = np.pad(audio, (0, max(0, _MIN_SAMPLES - len(audio))))
    detokenizer = StreamingDetokenizer(model._tokenizer, skip_special_tokens=True)
    for token, _ in model.stream_generate(
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

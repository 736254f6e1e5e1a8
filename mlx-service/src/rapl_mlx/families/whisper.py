"""Whisper. Source: mlx_audio/stt/models/whisper/whisper.py and decoding.py, 0.6.2."""

import importlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any, Self

from rapl_protocol.models import Capabilities
from rapl_protocol.transcript import Decoding, Segment, TranscribeOptions, Transcript

from rapl_mlx.families.drafts import DraftedWhisper
from rapl_mlx.families.languages import language_code
from rapl_mlx.families.results import ResultListener, finite, make_segment, make_transcript, make_word

TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""A window is decoded again at the next temperature while its text is too repetitive or too improbable. A request for
temperature 0 means all of them. Source: https://platform.openai.com/docs/api-reference/audio/createTranscription"""
_TOO_REPETITIVE = 2.4
"""The compression ratio above which mlx-audio decodes a window again."""


class Whisper:
    def __init__(self, languages: tuple[str, ...]) -> None:
        """`languages` are the ISO codes of the checkpoint, which accepts any other word without an error."""
        is_english_only = languages == ("en",)
        self.capabilities = Capabilities(
            languages=languages,
            language_detection=not is_english_only,
            language_choice=not is_english_only,
            prompt=True,
            keywords=True,
            temperature=True,
            word_timestamps=True,
            translation=not is_english_only,
            drafts=True,
            decoding=tuple(Decoding.model_fields),
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
        elif options.languages:
            arguments["languages"] = options.languages
        if options.prompt:
            arguments["initial_prompt"] = options.prompt
        if options.keywords:
            arguments["hotwords"] = list(options.keywords)
        if options.translate:
            arguments["task"] = "translate"
        if options.draft and (draft := _first_window(options.draft)):
            arguments["draft"] = draft
        return arguments | {"temperature": (options.temperature,) if options.temperature else TEMPERATURES}

    def generate(self, model: Any, wav_path: str, arguments: dict[str, Any], listener: ResultListener) -> Any:
        arguments = dict(arguments)
        languages, draft = arguments.pop("languages", ()), arguments.pop("draft", ())
        attempts = BestAttempts(model, arguments["temperature"], listener, languages, draft)
        return type(model).generate(attempts, wav_path, **arguments)

    def transcript(self, result: Any, options: TranscribeOptions, duration_s: float) -> Transcript:
        language = language_code(result.language)
        segments = (_segment(segment, language, duration_s) for segment in result.segments or ())
        return make_transcript(result.text, language, duration_s, segments)


class BestAttempts:
    """A Whisper model that returns the best attempt to decode a window, if all of its attempts failed, and that detects
    only the languages that the request allows.

    mlx-audio's `generate` calls `decode` once for each temperature until an attempt is good enough, and otherwise keeps
    the last one, which is often worse than the first. This object takes the place of the model in one call of
    `generate`. Everything but `decode` and the detection of the language is the model's.

    Args:
        model: the model; it is not changed.
        temperatures: those of the request.
        listener: of the request; a cancelled request ends before the next attempt or token.
        languages: the codes that may be detected; all if there are none.
        draft: tokens with which the text of the first window probably begins.
    """

    def __init__(
        self,
        model: Any,
        temperatures: Sequence[float],
        listener: ResultListener,
        languages: Sequence[str] = (),
        draft: Sequence[int] = (),
    ) -> None:
        self._model = model
        self._languages = languages
        self._temperatures = temperatures
        self._listener = listener
        self._draft = draft
        """For the next attempt."""
        self._attempts: list[Any] = []
        """The results for the current window, from the lowest temperature to the highest."""
        self._is_earlier_kept = False
        """Whether an attempt before the last was kept for the last window, because all of them failed."""
        self._prompt_start = 0
        """The tokens of the prompt before this index are not used."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def _detect_language(self, mel: Any, language: str | None = None) -> str:
        """mlx-audio's own method, with `detect_language` of this object."""
        return type(self._model)._detect_language(self, mel, language)

    def detect_language(self, mel: Any) -> tuple[Any, Mapping[str, float]]:
        """Returns what the model returns, with the probabilities of the allowed languages only."""
        tokens, probabilities = self._model.detect_language(mel)
        allowed = {code: each for code, each in probabilities.items() if code in self._languages}
        return tokens, allowed or probabilities

    def decode(self, mel: Any, options: Any) -> Any:
        """Decodes a window at one temperature. At the last one it returns the best result of all temperatures."""
        self._listener.raise_if_cancelled()
        if options.temperature == self._temperatures[0]:
            self._start_window(options.prompt)
        else:
            # The same for all attempts: the output of the encoder, which `decode` takes instead of the spectrogram.
            mel = self._attempts[0].audio_features
        model = DraftedWhisper(self._model, self._draft, self._listener.raise_if_cancelled)
        self._draft = ()
        result = type(self._model).decode(model, mel, replace(options, prompt=options.prompt[self._prompt_start :]))
        self._attempts.append(result)
        if options.temperature != self._temperatures[-1]:
            return result
        best = max(self._attempts, key=_quality)
        self._is_earlier_kept = best is not result
        return best

    def _start_window(self, prompt: Sequence[int]) -> None:
        """Forgets the attempts of the window before. Its text is no context for this window if all of them failed.

        mlx-audio decides that by the temperature of the kept attempt (over 0.5), which is then that of the last one.
        """
        if self._is_earlier_kept:
            self._prompt_start = len(prompt)
        elif len(prompt) < self._prompt_start:  # mlx-audio itself began a new context
            self._prompt_start = 0
        self._attempts, self._is_earlier_kept = [], False


def _first_window(draft: Transcript) -> list[int]:
    """Returns the tokens of the first window of a transcript, with those of its times; [] if they are not known."""
    decodings = (segment.decoding for segment in draft.segments)
    of_window = takewhile(lambda each: each and each.seek == 0 and each.tokens, decodings)
    return [token for each in of_window if each and each.tokens for token in each.tokens]


def _quality(result: Any) -> tuple[bool, float]:
    """Returns the order of attempts: first those that are not too repetitive, then the most probable. NaN is worst."""
    is_varied = result.compression_ratio <= _TOO_REPETITIVE
    avg_logprob = finite(result.avg_logprob)
    return is_varied, -math.inf if avg_logprob is None else avg_logprob


def _segment(raw: Mapping[str, Any], language: str | None, duration_s: float) -> Segment | None:
    words = raw.get("words")
    if words is not None:
        words = [make_word(w["word"], w["start"], w["end"], duration_s) for w in words]
    start_s, end_s, text = raw.get("start"), raw.get("end"), raw.get("text", "")
    return make_segment(start_s, end_s, text, language, duration_s, words, _decoding(raw))


def _decoding(raw: Mapping[str, Any]) -> Decoding:
    """Numbers that are not finite are left out: JSON cannot express them."""
    return Decoding(
        seek=raw.get("seek"),
        tokens=raw.get("tokens"),
        temperature=finite(raw.get("temperature")),
        avg_logprob=finite(raw.get("avg_logprob")),
        compression_ratio=finite(raw.get("compression_ratio")),
        no_speech_prob=finite(raw.get("no_speech_prob")),
    )

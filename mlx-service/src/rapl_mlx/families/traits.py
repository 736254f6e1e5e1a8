"""The parameters and results of each family of mlx-audio, one row each. A test compares every row with the signatures.

Source: mlx_audio/stt/models/*, 0.6.2. A prompt parameter that replaces the model's instruction is left out, and so are
times that are always 0 or that measure the computation (higgs_audio_3, qwen2_audio).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from inspect import Parameter
from typing import Any

_LANGUAGE_WORDS = frozenset({"language", "lang_code", "source_language", "source_lang"})


@dataclass(frozen=True)
class Traits:
    language: tuple[str, ...] = ()
    """Parameters for the code of the spoken language."""
    languages: tuple[str, ...] | None = None
    """The codes of the family; None: those of the checkpoint, or any."""
    undetermined: Mapping[str, Any] = field(default_factory=dict)
    """Arguments that make the model detect the language, if none is requested."""
    detects_language: bool = True
    prompt: str | None = None
    """Parameter for a text as context."""
    keywords: str | None = None
    """Parameter for a list of terms."""
    prompt_and_keywords: bool = True
    """Whether both may be passed; otherwise only the keywords are passed."""
    max_tokens: bool = False
    most_tokens: int | None = None
    """Token limit of the family: the number of positions of the decoder."""
    temperature: bool = False
    streams: bool = False
    """Whether `stream=True` yields the same result as a call without it, word by word. False if it runs another
    algorithm, keeps special tokens, or leaves marks in the text."""
    has_times: bool = False
    """Whether the times of segments were measured in the audio."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Arguments that are always passed."""


QUIET: Mapping[str, Any] = {"verbose": False}

TRAITS: dict[str, Traits] = {
    # Both parameters get the same language, because with two different ones it translates.
    "canary": Traits(
        language=("source_lang", "target_lang"), detects_language=False, max_tokens=True, temperature=True, fixed=QUIET
    ),
    "cohere_asr": Traits(language=("language",), detects_language=False, max_tokens=True, fixed=QUIET),
    "fireredasr2": Traits(),
    "fun_asr_nano": Traits(
        language=("language",),
        languages=("zh", "en", "ja", "yue", "wuu", "nan", "hak", "gan", "hsn", "cjy"),
        prompt="context",
        keywords="hotwords",
        prompt_and_keywords=False,
        max_tokens=True,
        temperature=True,
        fixed=QUIET,
    ),
    # If it streams, it keeps special tokens that a call without `stream` removes.
    "glmasr": Traits(max_tokens=True, temperature=True, fixed=QUIET),
    # Its `language` is the target of a translation.
    "granite_speech": Traits(
        language=("source_language",),
        languages=("en", "fr", "de", "es", "pt", "ja", "it", "zh"),
        keywords="hotwords",
        max_tokens=True,
        temperature=True,
        streams=True,
        fixed=QUIET,
    ),
    "granite_speech5_ctc": Traits(fixed=QUIET),
    "granite_speech_nar": Traits(fixed=QUIET),
    "higgs_audio_3": Traits(max_tokens=True, temperature=True, fixed=QUIET),
    # It ignores any other language without an error.
    "mimo_v2_asr": Traits(
        language=("language",), languages=("zh", "en"), max_tokens=True, temperature=True, fixed=QUIET
    ),
    "ming_v3_asr": Traits(
        language=("language",), languages=("zh", "en"), keywords="hotwords", max_tokens=True, temperature=True
    ),
    "mms": Traits(fixed=QUIET),
    "moonshine": Traits(max_tokens=True, most_tokens=500, temperature=True, fixed=QUIET),
    "moss_music": Traits(max_tokens=True, temperature=True, fixed=QUIET),
    # Its hotwords replace the instruction. Its text has marks of times and speakers.
    "moss_transcribe_diarize": Traits(max_tokens=True, temperature=True, has_times=True, fixed=QUIET),
    "nemotron_asr": Traits(language=("language",), has_times=True, fixed=QUIET),
    "qwen2_audio": Traits(max_tokens=True, temperature=True, streams=True, fixed=QUIET),
    "vibevoice_asr": Traits(
        prompt="context", keywords="hotwords", max_tokens=True, temperature=True, has_times=True, fixed=QUIET
    ),
    # Its default is English; with None the model detects the language.
    "voxtral": Traits(
        language=("language",),
        languages=("en", "es", "fr", "pt", "hi", "de", "nl", "it"),
        undetermined={"language": None},
        max_tokens=True,
        temperature=True,
        fixed=QUIET,
    ),
    "voxtral_realtime": Traits(max_tokens=True, temperature=True, streams=True, fixed=QUIET),
}

OWN_ADAPTER = frozenset({"qwen3_asr", "mega_asr", "phonon", "whisper", "parakeet", "phonon2", "sensevoice"})
"""Families with an adapter class of their own."""
NO_TRANSCRIPTION = frozenset({"lasr_ctc", "nemo", "qwen3_forced_aligner", "wav2vec"})
"""Modules of mlx-audio without a speech-to-text model: encoders, an aligner, shared code."""


def traits_from_signature(parameters: Mapping[str, Parameter]) -> Traits:
    """Returns the traits of a family without a row, as far as the names of its parameters are unambiguous.

    Args:
        parameters: the parameters of `generate` after the audio.
    """
    return Traits(
        # If there is a language parameter, its meaning is unknown, so a requested language is refused.
        languages=() if _LANGUAGE_WORDS & set(parameters) else None,
        max_tokens="max_tokens" in parameters,
        temperature="temperature" in parameters,
        fixed=QUIET if "verbose" in parameters else {},
    )

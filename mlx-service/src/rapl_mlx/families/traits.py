"""What each family of mlx-audio's takes and gives, a row each. A test binds every row to the installed signatures.

Source: mlx_audio/stt/models/*, 0.6.2. Only what was read there stands here. A prompt that would replace a model's
instruction is none, and times that are those of the computation (higgs_audio_3, qwen2_audio) or 0 are none either.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from inspect import Parameter
from typing import Any

_LANGUAGE_WORDS = frozenset({"language", "lang_code", "source_language", "source_lang"})


@dataclass(frozen=True)
class Traits:
    language: tuple[str, ...] = ()
    """Parameters that take the code of the language that is spoken."""
    languages: tuple[str, ...] | None = None
    """The codes, where the family has a list of its own; otherwise the checkpoint's, or any."""
    undetermined: Mapping[str, Any] = field(default_factory=dict)
    """What to pass where no language is named, so that the model finds it."""
    detects_language: bool = True
    prompt: str | None = None
    """Takes text as context."""
    keywords: str | None = None
    """Takes a list of terms."""
    prompt_and_keywords: bool = True
    """Whether both may be given; otherwise keywords go before."""
    max_tokens: bool = False
    most_tokens: int | None = None
    """What the decoder has positions for."""
    temperature: bool = False
    streams: bool = False
    """`stream=True` yields what the whole call returns, word by word. Where it runs another algorithm, keeps special
    tokens, or leaves marks in the text, it does not count."""
    has_times: bool = False
    """Segments have times that the model heard."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Always passed."""


QUIET: Mapping[str, Any] = {"verbose": False}

TRAITS: dict[str, Traits] = {
    # Both languages, for with two different ones it translates.
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
    # Its stream keeps special tokens that the whole call leaves out.
    "glmasr": Traits(max_tokens=True, temperature=True, fixed=QUIET),
    # Its `language` is the one to translate into.
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
    # Any other language it takes for none, without a word.
    "mimo_v2_asr": Traits(
        language=("language",), languages=("zh", "en"), max_tokens=True, temperature=True, fixed=QUIET
    ),
    "ming_v3_asr": Traits(
        language=("language",), languages=("zh", "en"), keywords="hotwords", max_tokens=True, temperature=True
    ),
    "mms": Traits(fixed=QUIET),
    "moonshine": Traits(max_tokens=True, most_tokens=500, temperature=True, fixed=QUIET),
    "moss_music": Traits(max_tokens=True, temperature=True, fixed=QUIET),
    # Its hotwords would replace the instruction; its text has marks of times and speakers.
    "moss_transcribe_diarize": Traits(max_tokens=True, temperature=True, has_times=True, fixed=QUIET),
    "nemotron_asr": Traits(language=("language",), has_times=True, fixed=QUIET),
    "qwen2_audio": Traits(max_tokens=True, temperature=True, streams=True, fixed=QUIET),
    "vibevoice_asr": Traits(
        prompt="context", keywords="hotwords", max_tokens=True, temperature=True, has_times=True, fixed=QUIET
    ),
    # Its default is English; with None the model finds the language.
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
"""Families that more than a row is needed for."""
NO_TRANSCRIPTION = frozenset({"lasr_ctc", "nemo", "qwen3_forced_aligner", "wav2vec"})
"""Modules of mlx-audio's whose models turn no speech alone into text: encoders, an aligner, shared code."""


def traits_from_signature(parameters: Mapping[str, Parameter]) -> Traits:
    """For a family without a row: what its names say for certain, and no more.

    Args:
        parameters: of its `generate`, after the audio.
    """
    return Traits(
        # A language is refused where it is not known in which sense it is taken.
        languages=() if _LANGUAGE_WORDS & set(parameters) else None,
        max_tokens="max_tokens" in parameters,
        temperature="temperature" in parameters,
        fixed=QUIET if "verbose" in parameters else {},
    )

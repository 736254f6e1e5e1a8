"""A loaded model with the adapter of its family. Only this module imports mlx."""

import gc
import logging
import math
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

from rapl_protocol.audio import SAMPLE_RATE_HZ, WavAudio
from rapl_protocol.models import Capabilities
from rapl_protocol.transcript import TranscribeOptions, Transcript

from rapl_mlx.child.contract import ChildConfig, ModelFailed
from rapl_mlx.families import Family, family_name, family_of
from rapl_mlx.families.results import ResultListener

_MAX_REASON = 300

log = logging.getLogger("rapl.mlx")


class Engine:
    def __init__(self, model_id: str, model: Any, family: Family, wav_path: Path) -> None:
        self.model_id = model_id
        self.family_name = family_name(model)
        self.capabilities: Capabilities = family.capabilities
        self._model = model
        self._family = family
        self._wav_path = wav_path

    @classmethod
    def load(cls, config: ChildConfig, folder: Path) -> "Engine":
        """Raises: ModelFailed."""
        import mlx.core as mx
        from mlx_audio.stt import load

        mx.set_cache_limit(config.cache_limit_bytes)
        try:
            # If strict is false, a checkpoint with missing weights loads without an error and transcribes nonsense.
            model = load(folder, strict=True, model_name_parts=_name_parts(config, folder))
        except (ValueError, RuntimeError, ImportError, KeyError) as error:
            log.warning("model=%s loading failed", config.id, exc_info=True)
            raise _load_failure(error) from error
        family = family_of(model)
        # Excludes the loaded objects from the garbage collection after each request: 0.2 ms instead of 50 ms.
        gc.collect()
        gc.freeze()
        return cls(config.id, model, family, config.work_dir / "audio.wav")

    def warm_up(self) -> None:
        """Transcribes a soft tone: some checkpoints load but cannot generate, and the first call is the slowest.

        Raises:
            ModelFailed: the model cannot transcribe.
        """
        try:
            self.transcribe(_soft_tone(), TranscribeOptions(model=self.model_id))
        except Exception as error:
            log.warning("model=%s loaded but cannot transcribe", self.model_id, exc_info=True)
            reason = f"it loads but cannot transcribe ({_first_line(error)})"
            raise ModelFailed(reason, "Choose another conversion of this model.") from error
        self.release_buffers()

    def transcribe(
        self, audio: WavAudio, options: TranscribeOptions, listener: ResultListener | None = None
    ) -> Transcript:
        """Raises: ServiceError, UNSUPPORTED_PARAMETER; Cancelled."""
        self.capabilities.require(options)
        options, listener = self._with_known_languages(options), listener or ResultListener()
        if not options.languages:
            return self._transcribed(audio, options, listener)
        # No words are sent: they may be in another language, and then the audio is transcribed again.
        listener = replace(listener, on_text=None)
        transcript = self._transcribed(audio, options, listener)
        if transcript.language is None or transcript.language in options.languages:
            return transcript
        return self._transcribed(audio, options.model_copy(update={"language": options.languages[0]}), listener)

    def _with_known_languages(self, options: TranscribeOptions) -> TranscribeOptions:
        """Returns the options with those of the listed languages that the model has: one of them as `language`, or
        several as `languages`. Without either, if the model has no choice of languages."""
        known = self.capabilities.languages or ()
        languages = tuple(language for language in options.languages if language in known)
        if options.language or not self.capabilities.language_choice:
            languages = ()
        language = languages[0] if len(languages) == 1 else options.language
        return options.model_copy(update={"language": language, "languages": languages if len(languages) > 1 else ()})

    def _transcribed(self, audio: WavAudio, options: TranscribeOptions, listener: ResultListener) -> Transcript:
        import mlx.core as mx

        # A model that samples gives the same text if the same request is repeated.
        mx.random.seed(0)
        arguments = self._family.arguments(options, audio.duration_s)
        # A path is the only form of audio that every family accepts.
        self._wav_path.write_bytes(audio.to_wav())
        try:
            result = self._family.generate(self._model, str(self._wav_path), arguments, listener)
        finally:
            self._wav_path.unlink(missing_ok=True)
        return self._family.transcript(result, options, audio.duration_s)

    def release_buffers(self) -> None:
        """Frees the buffers of a request. About half of the families never do: 17 GB were reported for a 2.9 GB model.

        Source: https://github.com/basnijholt/agent-cli/issues/620
        """
        import mlx.core as mx

        gc.collect()
        mx.clear_cache()


def _name_parts(config: ChildConfig, folder: Path) -> list[str]:
    """Returns the parts of the model's id and folder name. mlx-audio recognizes some families by their repository name,
    which may be missing in the name of a cache folder."""
    from mlx_audio.utils import get_model_name_parts

    return [*get_model_name_parts(config.id), *get_model_name_parts(folder.name)]


def _load_failure(error: Exception) -> ModelFailed:
    line = _first_line(error)
    if isinstance(error, ImportError):
        return ModelFailed(
            f"it needs a Python package that is not installed ({line})", "Install it in the environment of mlx-service."
        )
    if "not supported" in line:
        return ModelFailed(f"mlx-audio has no speech-to-text family for it ({line})", "Choose another model.")
    return ModelFailed(f"it does not load ({line})", "Choose another conversion of this model.")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:_MAX_REASON]


def _soft_tone() -> WavAudio:
    samples = (round(600 * math.sin(2 * math.pi * 220 * i / SAMPLE_RATE_HZ)) for i in range(SAMPLE_RATE_HZ))
    return WavAudio(struct.pack(f"<{SAMPLE_RATE_HZ}h", *samples))

"""The parameters and results of each family of models in mlx-audio.

The module of a model's class determines its family. Most families are described by a row of a table (`traits.py`). A
family without a row is called according to its signature, so a new family needs no code here.
"""

from typing import Any, Protocol

from rapl_protocol.models import Capabilities
from rapl_protocol.transcript import TranscribeOptions, Transcript

from rapl_mlx.families.generic import GenericFamily
from rapl_mlx.families.parakeet import Parakeet
from rapl_mlx.families.qwen3_asr import MegaAsr, Phonon, Qwen3Asr
from rapl_mlx.families.results import ResultListener
from rapl_mlx.families.sensevoice import SenseVoice
from rapl_mlx.families.whisper import Whisper


class Family(Protocol):
    """The adapter of one loaded model. It does not hold the model itself."""

    @property
    def capabilities(self) -> Capabilities:
        """`languages` is None if the model has no language parameter; then a requested language has no effect. It is ()
        if the meaning of the model's language parameter is unknown; then a requested language is refused."""
        ...

    def arguments(self, options: TranscribeOptions, duration_s: float) -> dict[str, Any]:
        """Returns the keyword arguments of the model's `generate`, for options that the capabilities allow."""
        ...

    def generate(self, model: Any, wav_path: str, arguments: dict[str, Any], listener: ResultListener) -> Any:
        """Runs the model. Sends words to the listener as they are decoded, if the family supports it.

        Raises:
            Cancelled: the request was cancelled. This is checked after each token, if the family yields tokens.
        """
        ...

    def transcript(self, result: Any, options: TranscribeOptions, duration_s: float) -> Transcript:
        """Converts the result of `generate`."""
        ...


def family_name(model: Any) -> str:
    """Returns the family, such as `qwen3_asr` for a class in `mlx_audio.stt.models.qwen3_asr.qwen3_asr`."""
    parts = type(model).__module__.split(".")
    return parts[parts.index("models") + 1] if "models" in parts[:-1] else parts[-1]


def family_of(model: Any) -> Family:
    """Raises: ModelFailed, for a model that cannot transcribe, such as a forced aligner."""
    match family_name(model):
        case "qwen3_asr" if hasattr(model.config, "support_languages"):
            return Qwen3Asr.of(model)
        case "phonon" if hasattr(model.config, "support_languages"):
            return Phonon.of(model)
        case "mega_asr":
            return MegaAsr.of(model)
        case "whisper":
            return Whisper.of(model)
        case "parakeet" | "phonon2":
            return Parakeet()
        case "sensevoice":
            return SenseVoice()
        case name:
            return GenericFamily.of(model, name)

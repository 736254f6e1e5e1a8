"""How each family of models in mlx-audio takes its parameters and gives its results.

A family is found by the module that its model's class lives in. Most are described by a row (`traits.py`); one that has
none is driven by its signature, so a new model needs no code here.
"""

from typing import Any, Protocol

from rapl_protocol.models import Capabilities
from rapl_protocol.transcript import TranscribeOptions, Transcript

from rapl_mlx.families.generic import GenericFamily
from rapl_mlx.families.parakeet import Parakeet
from rapl_mlx.families.qwen3_asr import MegaAsr, Qwen3Asr
from rapl_mlx.families.results import ResultListener
from rapl_mlx.families.sensevoice import SenseVoice
from rapl_mlx.families.whisper import Whisper


class Family(Protocol):
    """Holds facts of one loaded model, and never the model itself."""

    @property
    def capabilities(self) -> Capabilities:
        """`languages` is None where the model takes none, and one that is named has no effect; () where it takes one
        in a way that is not known here, and naming one is refused."""
        ...

    def arguments(self, options: TranscribeOptions, duration_s: float) -> dict[str, Any]:
        """What to call the model's `generate` with, after the audio, for options that the capabilities allow."""
        ...

    def generate(self, model: Any, wav_path: str, arguments: dict[str, Any], listener: ResultListener) -> Any:
        """Runs the model, and tells words as they are decoded, where that is known for the family.

        Raises:
            Cancelled: nobody waits any more; between two tokens, where the family gives them one by one.
        """
        ...

    def transcript(self, result: Any, options: TranscribeOptions, duration_s: float) -> Transcript:
        """What `generate` returned, in our words."""
        ...


def family_name(model: Any) -> str:
    """`qwen3_asr` for a class in `mlx_audio.stt.models.qwen3_asr.qwen3_asr`."""
    parts = type(model).__module__.split(".")
    return parts[parts.index("models") + 1] if "models" in parts[:-1] else parts[-1]


def family_of(model: Any) -> Family:
    """Raises: ModelFailed, for a model that transcribes nothing, such as a forced aligner."""
    match family_name(model):
        case "qwen3_asr" | "phonon" if hasattr(model.config, "support_languages"):
            return Qwen3Asr.of(model)
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

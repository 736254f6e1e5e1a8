"""What a service says of the models that it can run."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.transcript import TranscribeOptions


class ModelState(StrEnum):
    ABSENT = "absent"
    """Its weights are not on this machine."""
    DOWNLOADING = "downloading"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


class Progress(BaseModel):
    model_config = ConfigDict(frozen=True)

    done_bytes: int
    total_bytes: int | None = None
    """None while the hub has not said."""
    bytes_per_s: float | None = None


class Capabilities(BaseModel):
    model_config = ConfigDict(frozen=True)

    is_known: bool = True
    """False for a model of which nobody knows before it is first loaded: nothing is claimed then, nor refused."""
    languages: tuple[str, ...] | None = None
    """ISO 639 codes that may be asked for; None where the engine does not say."""
    language_detection: bool = True
    prompt: bool = False
    """Whether it makes use of a prompt; where it does not, one is accepted and has no effect."""
    keywords: bool = False
    """Likewise, of keywords."""
    temperature: bool = False
    """Likewise, of a temperature."""
    word_timestamps: bool = False
    translation: bool = False
    """Into English."""
    emotion_and_events: bool = False

    def require(self, options: TranscribeOptions) -> None:
        """Refuses what would mislead if it were passed over. A prompt or keywords without effect would not.

        Raises:
            ServiceError: UNSUPPORTED_PARAMETER, naming the request's field.
        """
        if not self.is_known:
            return
        if options.translate and not self.translation:
            raise _unsupported("model", f"The model {options.model!r} cannot translate.")
        if options.word_timestamps and not self.word_timestamps:
            message = f"The model {options.model!r} gives no times of words."
            raise _unsupported("timestamp_granularities", message)
        if options.language and self.languages is not None and options.language not in self.languages:
            spoken = ", ".join(self.languages) or "none that can be chosen: it detects them by itself"
            message = f"The model {options.model!r} does not take language {options.language!r}, but: {spoken}."
            raise _unsupported("language", message)


class ModelInfo(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str
    state: ModelState
    reason: str | None = None
    """Why it is not ready, for a person."""
    remedy: str | None = None
    """What a person can do about it."""
    progress: Progress | None = None
    parallel: int = 1
    """How many pieces of audio it works on at once."""
    capabilities: Capabilities = Capabilities()

    def not_ready_error(self) -> ServiceError:
        """What to answer to a request for this model while it is not ready."""
        parts = [f"model {self.id!r} is not ready: {self.state.value}"]
        if self.progress:
            parts.append(_percent(self.progress))
        if self.reason:
            parts.append(f"({self.reason})")
        sentence = " ".join(p for p in parts if p) + "."
        if self.remedy:
            sentence += f" {self.remedy}"
        return ServiceError(ErrorCode.MODEL_NOT_READY, sentence, param="model", retry_after_s=5)


class ModelList(BaseModel):
    """What an engine answers that is asked for its models."""

    models: list[ModelInfo]


def _unsupported(param: str, message: str) -> ServiceError:
    return ServiceError(ErrorCode.UNSUPPORTED_PARAMETER, message, param=param)


def _percent(progress: Progress) -> str:
    if not progress.total_bytes:
        return f"{progress.done_bytes / 1e6:.0f} MB"
    return f"{progress.done_bytes / progress.total_bytes:.0%} of {progress.total_bytes / 1e6:.0f} MB"

"""What a service reports about its models: state, progress, capabilities."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.transcript import TranscribeOptions


class ModelState(StrEnum):
    ABSENT = "absent"
    """The weights are not on this machine."""
    DOWNLOADING = "downloading"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


class Progress(BaseModel):
    model_config = ConfigDict(frozen=True)

    done_bytes: int
    total_bytes: int | None = None
    """None until the hub has reported it."""
    bytes_per_s: float | None = None


class Capabilities(BaseModel):
    model_config = ConfigDict(frozen=True)

    is_known: bool = True
    """False if the capabilities are unknown because the model was never loaded. Then no option is refused."""
    languages: tuple[str, ...] | None = None
    """ISO 639 codes that a request may name; None if the engine does not list them."""
    language_detection: bool = True
    language_choice: bool = False
    """Whether the model detects the language among those that a request lists. If not, it detects any language."""
    prompt: bool = False
    """Whether the model uses a prompt. If not, a prompt is accepted and has no effect."""
    keywords: bool = False
    """Whether the model uses keywords. If not, they are accepted and have no effect."""
    itn: bool = False
    """Whether `itn` decides if the text has numerals and punctuation. If not, it is accepted and has no effect."""
    temperature: bool = False
    """Whether the model uses a temperature. If not, it is accepted and has no effect."""
    word_timestamps: bool = False
    translation: bool = False
    """Whether the model can translate into English."""
    emotion_and_events: bool = False
    drafts: bool = False
    """Whether the model is faster with a `draft` that is nearly right. If not, it is accepted and has no effect."""
    decoding: tuple[str, ...] = ()
    """Fields of `transcript.Decoding` that the engine reports; in a response, the others have neutral values."""

    def require(self, options: TranscribeOptions) -> None:
        """Raises an error if the model lacks a requested feature. Those of `ignored` and a temperature are accepted.

        Raises:
            ServiceError: UNSUPPORTED_PARAMETER; `param` is the request's field.
        """
        if not self.is_known:
            return
        if options.translate and not self.translation:
            raise _unsupported("model", f"The model {options.model!r} cannot translate.")
        if options.word_timestamps and not (self.word_timestamps or options.words_are_optional):
            message = f"The model {options.model!r} does not return word timestamps."
            raise _unsupported("timestamp_granularities", message)
        if options.language and self.languages is not None and options.language not in self.languages:
            spoken = ", ".join(self.languages) or "none; it always detects the language"
            message = f"The model {options.model!r} does not support language {options.language!r}, only: {spoken}."
            raise _unsupported("language", message)
        if options.languages and self.languages and not set(options.languages) & set(self.languages):
            spoken, named = ", ".join(self.languages), ", ".join(options.languages)
            message = f"The model {options.model!r} supports none of the languages {named}, only: {spoken}."
            raise _unsupported("languages", message)

    def ignored(self, options: TranscribeOptions) -> tuple[str, ...]:
        """Returns the names of the fields of a request that have a value and no effect."""
        if not self.is_known:
            return ()
        has_no_effect = {
            "languages": len(options.languages) > 1 and not options.language and not self.language_choice,
            "prompt": bool(options.prompt) and not self.prompt,
            "keywords": bool(options.keywords) and not self.keywords,
            "itn": options.itn is not None and not self.itn,
        }
        return tuple(name for name, is_ignored in has_no_effect.items() if is_ignored)


_REMEDIES = {
    ModelState.ABSENT: "Look at the engine's log.",
    ModelState.DOWNLOADING: "Send the request again when the download is complete.",
    ModelState.LOADING: "Send the request again when the model is loaded.",
    ModelState.READY: None,
    ModelState.FAILED: "Look at the engine's log.",
}
"""What to do about a model that is not ready, where the engine gives no remedy."""


class ModelInfo(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: str
    state: ModelState
    reason: str | None = None
    """Why the model is not ready, as a sentence for a person."""
    remedy: str | None = None
    """What a person can do to make it ready."""
    progress: Progress | None = None
    parallel: int = 1
    """How many segments the engine transcribes at the same time."""
    disk_bytes: int | None = None
    """Size of the model's files on the disk, with those of an unfinished download; None if the engine does not know."""
    memory_bytes: int | None = None
    """Memory of the process that holds only this model; None if the model has no process of its own."""
    capabilities: Capabilities = Capabilities()
    load_s: float | None = None
    """How long it took to load the last time, in seconds."""
    process_ends: int | None = None
    """How often its own process has ended by itself, if it has one."""

    def not_ready_error(self) -> ServiceError:
        """The error for a request for this model while it is not ready."""
        parts = [f"model {self.id!r} is not ready: {self.state.value}"]
        if self.progress:
            parts.append(_percent(self.progress))
        if self.reason:
            parts.append(f"({self.reason})")
        sentence = " ".join(p for p in parts if p) + "."
        remedy = self.remedy or _REMEDIES[self.state]
        return ServiceError(ErrorCode.MODEL_NOT_READY, sentence, param="model", retry_after_s=5, remedy=remedy)


class ModelList(BaseModel):
    """The response of an engine's /v1/models."""

    models: list[ModelInfo]
    memory_bytes: int | None = None
    """Memory of the engine's own process, without the processes of single models; None if the system does not say."""
    version: str | None = None
    """The version of RAPL that the engine has; None if it is another program."""


class ServiceHealth(BaseModel):
    """The response of preprocess-service's /health/ready."""

    status: str
    version: str | None = None
    """The version of RAPL that the service has."""


def _unsupported(param: str, message: str) -> ServiceError:
    return ServiceError(ErrorCode.UNSUPPORTED_PARAMETER, message, param=param)


def _percent(progress: Progress) -> str:
    if not progress.total_bytes:
        return f"{progress.done_bytes / 1e6:.0f} MB"
    return f"{progress.done_bytes / progress.total_bytes:.0%} of {progress.total_bytes / 1e6:.0f} MB"

"""The session object: what a client configures, in OpenAI's present form and in the older flat one.

Source: https://platform.openai.com/docs/api-reference/realtime-sessions, and the updates that clients send.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, BeforeValidator, Field, ValidationError
from rapl_protocol.errors import ErrorCode, ServiceError, invalid_fields
from rapl_protocol.live_audio import G711_RATE_HZ, AudioEncoding, LiveOptions, TurnDetection
from rapl_protocol.transcript import TranscribeOptions

from rapl_gateway.api.form.transcription_form import MAX_PROMPT_CHARACTERS
from rapl_gateway.backends.catalog import DIARIZING_NAMES
from rapl_gateway.backends.catalog_file import ReplacementTable
from rapl_gateway.languages import language_list, parse_languages
from rapl_gateway.speakers.service import not_configured
from rapl_gateway.transcription.replacements import Replacements
from rapl_gateway.word_lists import MAX_KEYWORDS

MODELS_WITHOUT_TURN_DETECTION = ("gpt-live-transcribe", "gpt-realtime-whisper")
"""Models whose clients commit turns themselves, and may leave `turn_detection` out. Their snapshots count too."""
LOGPROBS = "item.input_audio_transcription.logprobs"
SPEAKERS = "item.input_audio_transcription.speakers"
"""RAPL's own: each turn has the event `.segment` with its speaker. OpenAI's model with speakers needs no `include`."""
EAGERNESS_SILENCE_MS = {"high": 500, "medium": 1_000, "auto": 1_000, "low": 2_000}
"""The silence that ends a turn with `semantic_vad`, in milliseconds. RAPL measures silence, not meaning: a quarter of
the longest silence that OpenAI documents for each value."""
_FORMATS = {
    "audio/pcm": AudioEncoding.PCM16, "audio/pcmu": AudioEncoding.PCMU, "audio/pcma": AudioEncoding.PCMA,
}  # fmt: skip
_FLAT_FORMATS = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}
_FLAT_FIELDS = {
    "input_audio_format": "format",
    "input_audio_transcription": "transcription",
    "input_audio_noise_reduction": "noise_reduction",
    "turn_detection": "turn_detection",
}
"""Field of the older session -> field of `audio.input`."""
_PCM_RATE_HZ = 24_000


class Unset(StrEnum):
    """The value of `turn_detection` while no client has set it."""

    UNSET = "unset"


def _texts(value: object) -> object:
    return [value] if isinstance(value, str) else value


class _Format(BaseModel):
    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = "audio/pcm"
    rate: int | None = Field(None, ge=8_000, le=192_000)


class _Transcription(BaseModel):
    model: str | None = Field(None, max_length=200)
    language: str | None = None
    languages: Annotated[list[str] | None, BeforeValidator(_texts)] = Field(None, max_length=200)
    prompt: str | None = Field(None, max_length=MAX_PROMPT_CHARACTERS)
    keywords: Annotated[list[str] | None, BeforeValidator(_texts)] = Field(None, max_length=MAX_KEYWORDS)
    replacements: ReplacementTable | None = None


class _TurnDetection(BaseModel):
    type: Literal["server_vad", "semantic_vad", "none"] = "server_vad"
    threshold: float | None = Field(None, ge=0, le=1, allow_inf_nan=False)
    prefix_padding_ms: int | None = Field(None, ge=0, le=5_000)
    silence_duration_ms: int | None = Field(None, ge=0, le=10_000)
    eagerness: Literal["low", "medium", "high", "auto"] | None = None


class _Input(BaseModel):
    format: _Format | None = None
    transcription: _Transcription | None = None
    turn_detection: _TurnDetection | None = None


class _Audio(BaseModel):
    input: _Input | None = None


class _Session(BaseModel):
    """Unknown fields are ignored: those of conversations, `noise_reduction` and `delay`, which have no effect here."""

    audio: _Audio | None = None
    include: list[str] | None = None


@dataclass(frozen=True, slots=True)
class SemanticVad:
    """OpenAI's detection of turns by meaning, of which RAPL has the silence only."""

    eagerness: str

    @property
    def detection(self) -> TurnDetection:
        return TurnDetection(silence_duration_ms=EAGERNESS_SILENCE_MS[self.eagerness])


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """What a session does with its audio. An update returns another one."""

    default_model: str
    """The gateway's default model, which is used if the client names none."""
    has_speaker_service: bool = False
    encoding: AudioEncoding = AudioEncoding.PCM16
    rate_hz: int = _PCM_RATE_HZ
    model: str | None = None
    """As the client sent it."""
    languages: tuple[str, ...] = ()
    """`language`, or `languages`, as the client sent them."""
    has_language_list: bool = False
    """Whether the client sent `languages`."""
    prompt: str | None = None
    keywords: tuple[str, ...] | None = None
    replacements: Mapping[str, str] | None = None
    """Those that the client added to the server's."""
    turn_detection: TurnDetection | SemanticVad | Literal[Unset.UNSET] | None = Unset.UNSET
    logprobs: bool = False
    includes_speakers: bool = False

    @property
    def speakers(self) -> bool:
        """Whether the speaker of each turn is requested."""
        return self.has_speaker_service and (self.includes_speakers or self.requested_model in DIARIZING_NAMES)

    @property
    def requested_model(self) -> str:
        return self.model or self.default_model

    @property
    def detection(self) -> TurnDetection | None:
        """How turns are detected; None if only the client commits them. Until the client sets it, the model decides."""
        match self.turn_detection:
            case SemanticVad() as semantic:
                return semantic.detection
            case Unset.UNSET:
                return None if _commits_itself(self.requested_model) else TurnDetection()
            case detection:
                return detection

    def live_options(self) -> LiveOptions:
        return LiveOptions(encoding=self.encoding, rate_hz=self.rate_hz, detection=self.detection)

    def transcribe_options(self, engine_model: str) -> TranscribeOptions:
        languages = language_list(self.languages)
        return TranscribeOptions(
            model=engine_model,
            language=languages[0] if len(languages) == 1 else None,
            languages=languages if len(languages) > 1 else (),
            prompt=self.prompt,
            keywords=self.keywords or (),
            logprobs=self.logprobs,
        )

    def replacements_with(self, of_client: Replacements) -> Replacements:
        """Returns the replacements of the session: those of its client, with those that it sent."""
        return of_client.merged(self.replacements or {})

    def updated(self, session: Mapping[str, Any]) -> "SessionConfig":
        """Returns the configuration after an update. Only the fields that are present change; `turn_detection` is
        replaced as a whole.

        Args:
            session: the session object as the client sent it, in either form.

        Raises:
            ServiceError: INVALID_REQUEST, with the field's name; UNSUPPORTED_PARAMETER if the session shall have
                speakers and the gateway has no speaker-service.
        """
        sent = _parsed(_nested(session))
        config = self
        if "include" in sent.model_fields_set:
            included = sent.include or ()
            if SPEAKERS in included and not self.has_speaker_service:
                raise not_configured("session.include")
            config = replace(config, logprobs=LOGPROBS in included, includes_speakers=SPEAKERS in included)
        given = sent.audio and sent.audio.input
        if not given:
            return config
        if given.format:
            config = _with_format(config, given.format)
        if "transcription" in given.model_fields_set:
            config = _with_transcription(config, given.transcription)
        if "turn_detection" in given.model_fields_set:
            config = replace(config, turn_detection=_detection(given.turn_detection))
        return config

    def described(self) -> dict[str, Any]:
        """The session object in OpenAI's present form, without its id."""
        rate = {"rate": self.rate_hz} if self.encoding is AudioEncoding.PCM16 else {}
        audio = {
            "format": {"type": next(name for name, each in _FORMATS.items() if each is self.encoding), **rate},
            "transcription": self._transcription(),
            "noise_reduction": None,
            "turn_detection": self._turn_detection(),
        }
        return {"type": "transcription", "audio": {"input": audio}, "include": self._include()}

    def described_flat(self) -> dict[str, Any]:
        """The session object in the older form, without its id."""
        name = self.described()["audio"]["input"]["format"]["type"]
        return {
            "modalities": ["text"],
            "input_audio_format": next(flat for flat, each in _FLAT_FORMATS.items() if each == name),
            "input_audio_transcription": self._transcription(),
            "input_audio_noise_reduction": None,
            "turn_detection": self._turn_detection(),
            "include": self._include(),
        }

    def _include(self) -> list[str] | None:
        included = {LOGPROBS: self.logprobs, SPEAKERS: self.includes_speakers}
        return [name for name, is_included in included.items() if is_included] or None

    def _transcription(self) -> dict[str, Any]:
        language = None if self.has_language_list else next(iter(self.languages), None)
        described: dict[str, Any] = {"model": self.requested_model, "language": language, "prompt": self.prompt or ""}
        if self.has_language_list:
            described["languages"] = list(self.languages)
        if self.replacements is not None:
            described["replacements"] = dict(self.replacements)
        return described if self.keywords is None else described | {"keywords": list(self.keywords)}

    def _turn_detection(self) -> dict[str, Any] | None:
        if isinstance(self.turn_detection, SemanticVad):
            return {"type": "semantic_vad", "eagerness": self.turn_detection.eagerness}
        return self.detection and {"type": "server_vad", **self.detection.model_dump()}


def _commits_itself(model: str) -> bool:
    return any(model == name or model.startswith(f"{name}-") for name in MODELS_WITHOUT_TURN_DETECTION)


def _parsed(session: dict[str, Any]) -> _Session:
    try:
        return _Session.model_validate(session)
    except ValidationError as error:
        invalid = invalid_fields(error)[0]
        name = f"session.{invalid.name}" if invalid.path else "session"
        raise ServiceError(ErrorCode.INVALID_REQUEST, f"{name}: {invalid.message}", param=name) from None


def _nested(session: Mapping[str, Any]) -> dict[str, Any]:
    """The session object in the present form. Fields of the older form are moved to where they are now."""
    nested = {name: value for name, value in session.items() if name not in _FLAT_FIELDS}
    moved = {new: session[old] for old, new in _FLAT_FIELDS.items() if old in session}
    audio: Any = nested.get("audio") or {}
    sent: Any = cast("dict[str, Any]", audio).get("input") or {} if isinstance(audio, dict) else None
    if not isinstance(sent, dict):
        return nested  # it is invalid, and the parser says so
    moved |= cast("dict[str, Any]", sent)
    if isinstance(name := moved.get("format"), str):
        moved["format"] = {"type": _FLAT_FORMATS.get(name, name)}
    return nested | {"audio": {"input": moved}} if moved else nested


def _with_format(config: SessionConfig, sent: _Format) -> SessionConfig:
    encoding = _FORMATS[sent.type]
    rate_hz = sent.rate or (_PCM_RATE_HZ if encoding is AudioEncoding.PCM16 else G711_RATE_HZ)
    if encoding is not AudioEncoding.PCM16 and rate_hz != G711_RATE_HZ:
        message = f"{sent.type} has {G711_RATE_HZ} samples per second"
        raise ServiceError(ErrorCode.INVALID_REQUEST, message, param="session.audio.input.format.rate")
    return replace(config, encoding=encoding, rate_hz=rate_hz)


def _with_transcription(config: SessionConfig, sent: _Transcription | None) -> SessionConfig:
    if sent is None:
        return replace(
            config, model=None, languages=(), has_language_list=False, prompt=None, keywords=None, replacements=None
        )
    changes: dict[str, Any] = {}
    if "model" in sent.model_fields_set:
        changes["model"] = sent.model or None
    if "prompt" in sent.model_fields_set:
        changes["prompt"] = sent.prompt or None
    if "keywords" in sent.model_fields_set:
        changes["keywords"] = None if sent.keywords is None else _checked(sent.keywords)
    if "replacements" in sent.model_fields_set:
        changes["replacements"] = sent.replacements
    if sent.model_fields_set & {"language", "languages"}:
        listed = sent.languages or ([sent.language] if sent.language else [])
        parse_languages(listed, "session.audio.input.transcription.language")
        changes |= {"languages": tuple(listed), "has_language_list": sent.languages is not None}
    return replace(config, **changes)


def _checked(keywords: list[str]) -> tuple[str, ...]:
    if any(character in keyword for keyword in keywords for character in "<>\r\n"):
        message = "a keyword may not contain '<', '>' or a line break"
        raise ServiceError(ErrorCode.INVALID_REQUEST, message, param="session.audio.input.transcription.keywords")
    return tuple(keywords)


def _detection(sent: _TurnDetection | None) -> TurnDetection | SemanticVad | None:
    if sent is None or sent.type == "none":
        return None
    if sent.type == "semantic_vad":
        return SemanticVad(sent.eagerness or "auto")
    return TurnDetection.model_validate(sent.model_dump(exclude={"type", "eagerness"}, exclude_none=True))

"""The messages of /v1/live of preprocess-service: audio in any rate goes in, 16 kHz audio and turns come out.

The client sends `LiveOptions` (or `Resume`) as a JSON text message first, then audio in binary messages of any length,
and further `LiveOptions` and `Flush` at any time. The service sends 16 kHz mono s16le in binary messages, and the other
types as JSON text messages. Both sides are in the order of time: the audio up to a position is sent before the message
that names the position. Positions are samples at 16 kHz since the session's start.
"""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

LIVE_PATH = "/v1/live"
MAX_LIVE_MESSAGE_BYTES = 1 << 16
"""Longest message in either direction. A longer one would delay other sessions."""
G711_RATE_HZ = 8_000
"""The only sample rate of G.711."""


class AudioEncoding(StrEnum):
    """How the samples of one channel are written."""

    PCM16 = "pcm16"
    """Signed 16-bit little-endian."""
    PCMU = "pcmu"
    """G.711 mu-law, one byte for a sample."""
    PCMA = "pcma"
    """G.711 A-law, one byte for a sample."""

    @property
    def sample_bytes(self) -> int:
        return 2 if self is AudioEncoding.PCM16 else 1


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TurnDetection(_Message):
    """When a turn begins and ends, by the names and the defaults of OpenAI's `server_vad`."""

    threshold: float = Field(default=0.5, ge=0, le=1, allow_inf_nan=False)
    """Lowest probability at which a frame counts as speech. A higher value requires clearer speech."""
    prefix_padding_ms: int = Field(default=300, ge=0, le=5_000)
    """Milliseconds of audio before the speech that belong to the turn."""
    silence_duration_ms: int = Field(default=500, ge=0, le=10_000)
    """Milliseconds of silence that end a turn. Less than a tenth of a second counts as a tenth."""


class LiveOptions(_Message):
    """What the audio is, and how turns are found. New options apply to the audio after them."""

    type: Literal["options"] = "options"
    encoding: AudioEncoding = AudioEncoding.PCM16
    rate_hz: int = Field(default=24_000, ge=8_000, le=192_000)
    """Samples in a second; 8000 for G.711."""
    detection: TurnDetection | None = None
    """None: the audio is only resampled."""

    @model_validator(mode="after")
    def _g711_has_one_rate(self) -> Self:
        if self.encoding is not AudioEncoding.PCM16 and self.rate_hz != G711_RATE_HZ:
            raise ValueError(f"G.711 has {G711_RATE_HZ} Hz")
        return self

    def has_same_format(self, other: "LiveOptions") -> bool:
        return (self.encoding, self.rate_hz) == (other.encoding, other.rate_hz)


class Flush(_Message):
    """Requests the end of the resampler's output now. The service answers with `Flushed`."""

    type: Literal["flush"] = "flush"


class Resume(_Message):
    """Continues a session whose connection was lost. The audio from the checkpoint's `keep_from_byte` follows."""

    type: Literal["resume"] = "resume"
    state: str
    """The state of the last `Checkpoint`."""


class SpeechStarted(_Message):
    """A turn has begun. The prefix padding is subtracted, but never beyond the end of the turn before."""

    type: Literal["speech_started"] = "speech_started"
    at_sample: int


class SpeechStopped(_Message):
    """A turn has ended, because it was silent for long enough or because the detection was switched off."""

    type: Literal["speech_stopped"] = "speech_stopped"
    at_sample: int
    """The end of the speech and of the padding after it, which is a part of the silence."""


class Flushed(_Message):
    """All audio before a `Flush` has been returned, and every whole frame of it was judged. A remainder of less than
    32 ms is judged together with the audio after it."""

    type: Literal["flushed"] = "flushed"
    at_sample: int


class Checkpoint(_Message):
    """A state from which the session can be resumed. The client may forget the messages that it contains."""

    type: Literal["checkpoint"] = "checkpoint"
    at_sample: int
    """Where the audio of a resumed session begins. If audio after it was sent before the checkpoint, it is sent again;
    events that were sent before the checkpoint are not."""
    keep_from_byte: int = Field(ge=0)
    """The first byte of the session's audio that a resumed session needs."""
    controls: int = Field(ge=0)
    """How many messages other than audio, the first one included, are part of the state."""
    state: str
    """Made by the service, for the service; base64."""


TurnEvent = SpeechStarted | SpeechStopped
LiveEvent = bytes | SpeechStarted | SpeechStopped | Flushed
"""What a client of a session sees; bytes are 16 kHz mono s16le."""
LiveControl = LiveOptions | Flush
"""The messages other than audio that may be sent at any time."""

from_client: TypeAdapter[LiveOptions | Flush | Resume] = TypeAdapter(
    Annotated[LiveOptions | Flush | Resume, Field(discriminator="type")]
)
"""Parses a text message of the client."""
from_service: TypeAdapter[SpeechStarted | SpeechStopped | Flushed | Checkpoint] = TypeAdapter(
    Annotated[SpeechStarted | SpeechStopped | Flushed | Checkpoint, Field(discriminator="type")]
)
"""Parses a text message of the service."""

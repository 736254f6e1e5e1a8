"""What preprocess-service answers: the source's description, its speech segments in order, then the end.

Or, where only that is asked, whether a clip holds speech.
"""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from rapl_protocol.audio import WavAudio

MAX_SEGMENT_S = 30.0
"""No segment is longer. SenseVoice's attention grows with the square of the length: 16 MB of scores for a
minute, 54 GB for an hour. Source: https://github.com/QwenAudio/SenseVoice/issues/7"""

ENOUGH_SPEECH_S = 1.0
"""A clip in which so much speech was found holds speech beyond doubt: nobody needs to know how much more there is."""


class PrepareOptions(BaseModel):
    """What preprocess-service is asked, as the query of its URL.

    The fields of speech detection have the names and the meaning of OpenAI's `server_vad`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    speech_detection: Literal["on", "off"] = "on"
    """off: everything is segments, speech or not."""
    vad_threshold: float = Field(default=0.5, ge=0, le=1, allow_inf_nan=False)
    """From which probability on a frame is speech; a higher one needs clearer speech."""
    vad_prefix_padding_ms: int = Field(default=500, ge=0, le=5_000)
    """Audio that a segment keeps before its speech, and as much after it."""
    vad_silence_duration_ms: int = Field(default=500, ge=0, le=10_000)
    """The silence that ends an utterance; long audio is cut between utterances where it can be."""


class SpeechCheck(BaseModel):
    """Whether a clip would become a segment, by the rules of /v1/prepare."""

    model_config = ConfigDict(frozen=True)

    has_speech: bool
    speech_s: float
    """How much of it was judged to be speech, pauses and padding left out; from ENOUGH_SPEECH_S on, at least."""


class SourceInfo(BaseModel):
    """What came in, as FFmpeg's libraries see it."""

    model_config = ConfigDict(frozen=True)

    type: Literal["source"] = "source"
    container: str
    """FFmpeg's name of the demuxer, such as "matroska,webm"."""
    codec: str
    sample_rate_hz: int
    channels: int
    duration_s: float | None = None
    """As the file announces it; None where it does not, and not to be relied on."""


class SegmentHeader(BaseModel):
    """Where a segment lies in the source; its samples follow as the frame's payload."""

    model_config = ConfigDict(frozen=True)

    type: Literal["segment"] = "segment"
    start_s: float
    end_s: float
    speech_s: float | None = None
    """How much of it was judged to be speech; None where nothing was judged."""


class PrepareEnd(BaseModel):
    """The last event. Without it the answer is cut off."""

    model_config = ConfigDict(frozen=True)

    type: Literal["end"] = "end"
    duration_s: float
    """Of the whole source."""
    speech_s: float | None = None
    """How much of it was judged to be speech, pauses and padding left out; None where nothing was judged."""


class PrepareProgress(BaseModel):
    """Sent where no segment has come for a while, so that hours of silence do not look like a service that hangs."""

    model_config = ConfigDict(frozen=True)

    type: Literal["progress"] = "progress"
    position_s: float
    """How much of the source has been decoded."""


@dataclass(frozen=True, slots=True)
class SpeechSegment:
    """A piece of the source of at most MAX_SEGMENT_S; times count from the source's start."""

    start_s: float
    end_s: float
    audio: WavAudio
    speech_s: float | None = None
    """How much of it was judged to be speech; None where nothing was judged."""


PreparedEvent = SourceInfo | SpeechSegment | PrepareEnd

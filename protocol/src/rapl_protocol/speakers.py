"""Who speaks when: the wire between the gateway and speaker-service.

| route | request body | response body |
|---|---|---|
| `POST /v1/diarizations` | frames `options`, then `reference` ..., then `speech` ... | Diarization as JSON |
| `POST /v1/embeddings` | audio as WAV | VoiceEmbedding as JSON |

The body of a diarization may arrive as slowly as a recording is decoded; its end is the end of the recording. The
service knows neither names nor texts: a known speaker is the index of a reference.
"""

import math
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from rapl_protocol.audio import BYTES_PER_SECOND, WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError, reason_of
from rapl_protocol.frames import Frame, decode_frames, encode_frame, frame_pieces
from rapl_protocol.prepared import MAX_SEGMENT_S

SPEAKERS_MODEL = "rapl/speakers"
"""The model of speaker-service: both of its networks."""
DIARIZATIONS_PATH = "/v1/diarizations"
EMBEDDINGS_PATH = "/v1/embeddings"
MIN_REFERENCE_S = 2.0
"""The shortest recording of a known speaker, in seconds.
Source: https://platform.openai.com/docs/guides/speech-to-text, speaker diarization."""
MAX_REFERENCE_S = 10.0
"""The longest recording of a known speaker, in seconds. Source: as above."""
MAX_REFERENCES = 32
MAX_SPEAKERS = 64
"""Most speakers that a request may ask for."""
MAX_SPEECH_BYTES = int(MAX_SEGMENT_S * BYTES_PER_SECOND) + BYTES_PER_SECOND
"""Most bytes of samples in one frame: a segment, and a second for rounding."""

_REFERENCE_PARAM = "references."


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True)


class DiarizationOptions(_Wire):
    """The first frame of a request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    speakers: int | None = Field(default=None, ge=1, le=MAX_SPEAKERS)
    """How many people speak in the recording; None if the service has to find it out."""
    references: int = Field(default=0, ge=0, le=MAX_REFERENCES)
    """How many frames with a reference follow."""


@dataclass(frozen=True, slots=True)
class SpeakerReference:
    """A recording of one known speaker, of MIN_REFERENCE_S to MAX_REFERENCE_S."""

    audio: WavAudio


@dataclass(frozen=True, slots=True)
class RecordedSpeech:
    """A part of the recording with speech, of at most MAX_SEGMENT_S. What no part covers is silence."""

    start_s: float
    """Seconds from the start of the recording. The parts are sent in this order."""
    audio: WavAudio


class SpeakerTurn(_Wire):
    """A time in which one person speaks. Turns of different people may overlap."""

    start_s: float
    """Seconds from the start of the recording."""
    end_s: float
    speaker: int
    """0, 1, 2 ... in the order of the first turn."""
    reference: int | None = None
    """Index of the reference that is the same person's; None if no reference is."""


class Diarization(_Wire):
    turns: tuple[SpeakerTurn, ...]
    """In the order of their starts."""


class VoiceEmbedding(_Wire):
    """The voice in a piece of audio, for comparisons with others."""

    embedding: tuple[float, ...] | None
    """A vector of length 1: the cosine of two voices is the sum of the products. None if the audio has no speech."""
    speech_s: float
    """Seconds of speech. Below about 1.5 s a voice is uncertain."""
    same_voice_cosine: float
    """Two embeddings with at least this cosine are probably the same person's voice."""


DiarizationEvent: TypeAlias = DiarizationOptions | SpeakerReference | RecordedSpeech


def encode_diarization_event(event: DiarizationEvent) -> tuple[bytes | memoryview, ...]:
    """A frame of a request, in pieces. The samples are not copied."""
    match event:
        case DiarizationOptions():
            return (encode_frame({"type": "options", **event.model_dump(exclude_none=True)}),)
        case SpeakerReference():
            return frame_pieces({"type": "reference"}, event.audio.pcm)
        case RecordedSpeech():
            return frame_pieces({"type": "speech", "start_s": event.start_s}, event.audio.pcm)


async def decode_diarization_request(chunks: AsyncIterable[bytes]) -> AsyncIterator[DiarizationEvent]:
    """Yields the options, then as many references as they announce, then the speech as it arrives.

    Raises:
        ServiceError: INVALID_REQUEST: the body is something else, or a frame has too much audio.
    """
    remaining: int | None = None
    from_s = 0.0
    try:
        async for frame in decode_frames(chunks, max_payload_bytes=MAX_SPEECH_BYTES):
            event = _event_in(frame)
            match event, remaining:
                case DiarizationOptions(), None:
                    remaining = event.references
                case SpeakerReference(), int() if remaining > 0:
                    remaining -= 1
                case RecordedSpeech(), 0 if from_s <= event.start_s < math.inf:
                    from_s = event.start_s
                case _:
                    raise ValueError("the frames are not in the order options, references, speech by its start")
            yield event
        if remaining != 0:
            raise ValueError("the body ends before its last reference")
    except ValueError as error:
        raise ServiceError(ErrorCode.INVALID_REQUEST, f"invalid diarization: {reason_of(error)}") from None


def _event_in(frame: Frame) -> DiarizationEvent:
    match frame.header:
        case {"type": "options", **options}:
            return DiarizationOptions.model_validate(options)
        case {"type": "reference"}:
            audio = WavAudio(frame.payload)
            if audio.duration_s > MAX_REFERENCE_S:
                raise ValueError(f"a reference is longer than {MAX_REFERENCE_S:g} s")
            return SpeakerReference(audio)
        case {"type": "speech", "start_s": float() | int() as start_s}:
            return RecordedSpeech(start_s, WavAudio(frame.payload))
        case _:
            raise ValueError("unknown frame type")


def unusable_reference(index: int, reason: str) -> ServiceError:
    """The error for a reference that is not the voice of one person. `reason` is the end of the sentence."""
    message = f"Reference {index} {reason}"
    return ServiceError(ErrorCode.INVALID_REQUEST, message, param=f"{_REFERENCE_PARAM}{index}")


def unusable_reference_index(error: ServiceError) -> int | None:
    """The index of the reference that the error is about; None if it is about something else."""
    number = (error.param or "").removeprefix(_REFERENCE_PARAM)
    return int(number) if number != error.param and number.isdecimal() else None

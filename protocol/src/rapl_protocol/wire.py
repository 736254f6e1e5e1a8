"""The wire format: how requests and responses between services are encoded and decoded. No I/O happens here.

| route | request body | response body |
|---|---|---|
| `POST /v1/transcribe` | one frame: TranscribeOptions, then the audio as WAV | Transcript as JSON |
| the same with `"stream": true` | the same | frames `text` ..., then `transcript` or `error` |
| `GET /v1/models` | | ModelList as JSON |
| `POST /v1/models/{id}/load`, `.../unload` | | ModelInfo as JSON |
| `DELETE /v1/models/{id}` | | ModelInfo as JSON |
| `POST /v1/prepare` | a media file | frames `source`, `segment` or `progress` ..., then `end` or `error` |
| `POST /v1/clip` | a media file of up to MAX_SEGMENT_S | frame `audio`, then, with detection on, `speech` or `error` |
| `POST /v1/speech` | audio as WAV | SpeechCheck as JSON |

The WebSocket /v1/live is described in `live_audio`, the routes of speaker-service in `speakers`.
"""

from dataclasses import dataclass
from typing import assert_never
from urllib.parse import urlencode

from rapl_protocol.audio import BYTES_PER_SECOND, WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError, reason_of
from rapl_protocol.frames import Frame, decode_single_frame, encode_frame, frame_pieces
from rapl_protocol.prepared import (
    MAX_SEGMENT_S,
    ClipAudio,
    MediaReport,
    PreparedEvent,
    PrepareEnd,
    PrepareOptions,
    PrepareProgress,
    SegmentHeader,
    SourceInfo,
    SpeechCheck,
    SpeechSegment,
)
from rapl_protocol.transcript import TranscribeOptions, Transcript

KEEP_ALIVE_S = 75
"""How long a server keeps an idle connection open. A client closes its end earlier, so that it never sends a request
on a connection that the server is closing."""
MAX_TRANSCRIBE_BYTES = int(MAX_SEGMENT_S * BYTES_PER_SECOND) + (2 << 20)
"""Largest body of /v1/transcribe: a segment as WAV, and 2 MiB for a long prompt in front of it."""
_ROUNDING_S = 0.1


@dataclass(frozen=True, slots=True)
class TranscribeRequest:
    options: TranscribeOptions
    audio: WavAudio
    is_streamed: bool
    """Whether the client receives the text while it is decoded."""


def encode_transcribe_request(
    audio: WavAudio, options: TranscribeOptions, *, is_streamed: bool = False
) -> tuple[bytes | memoryview, ...]:
    """The body of a request to /v1/transcribe, in pieces. The samples are not copied."""
    header = options.model_dump(exclude_none=True)
    if is_streamed:
        header["stream"] = True
    return frame_pieces(header, audio.wav_header(), audio.pcm)


def decode_transcribe_request(body: bytes) -> TranscribeRequest:
    """The request in a body of /v1/transcribe; its audio is a view of the body.

    Raises:
        ServiceError: INVALID_REQUEST, AUDIO_UNDECODABLE or AUDIO_TOO_LARGE.
    """
    try:
        frame = decode_single_frame(body)
        is_streamed = frame.header.pop("stream", False) is True
        options = TranscribeOptions.model_validate(frame.header)
    except ValueError as error:
        raise ServiceError(ErrorCode.INVALID_REQUEST, f"invalid options: {reason_of(error)}") from None
    try:
        audio = WavAudio.from_wav(frame.payload)
    except ValueError as error:
        raise ServiceError(ErrorCode.AUDIO_UNDECODABLE, str(error), param="file") from error
    if audio.duration_s > MAX_SEGMENT_S + _ROUNDING_S:
        raise segment_too_long()
    return TranscribeRequest(options, audio, is_streamed)


def segment_too_long() -> ServiceError:
    message = f"an engine accepts at most {MAX_SEGMENT_S:g} s of audio in one request"
    return ServiceError(ErrorCode.AUDIO_TOO_LARGE, message)


def encode_transcript_event(event: str | Transcript) -> bytes:
    """A frame of a streamed transcript: more text, or the whole transcript, which is the last frame."""
    if isinstance(event, str):
        return encode_frame({"type": "text", "text": event})
    return encode_frame({"type": "transcript", **event.model_dump()})


def decode_transcript_event(frame: Frame) -> str | Transcript:
    """The new text or the whole transcript in a frame.

    Raises:
        ServiceError: the frame is the engine's error.
        ValueError: the frame does not belong to a streamed transcript.
    """
    match frame.header:
        case {"type": "text", "text": str(text)}:
            return text
        case {"type": "transcript", **transcript}:
            return Transcript.model_validate(transcript)
        case header:
            raise _error_of(header)


def encode_prepare_query(options: PrepareOptions) -> str:
    """The query of the URL, without `?`; "" if every option has its default."""
    return urlencode(options.model_dump(exclude_defaults=True))


def encode_prepared_event(event: PreparedEvent | PrepareProgress) -> tuple[bytes | memoryview, ...]:
    """A frame of /v1/prepare, in pieces. The samples are not copied."""
    match event:
        case SpeechSegment():
            header = SegmentHeader(start_s=event.start_s, end_s=event.end_s, speech=event.speech)
            return frame_pieces(header.model_dump(exclude_none=True), event.audio.pcm)
        case SourceInfo() | PrepareEnd() | PrepareProgress():
            return frame_pieces(event.model_dump())
        case _:
            assert_never(event)


def decode_prepared_event(frame: Frame) -> PreparedEvent | PrepareProgress:
    """The event in a frame of /v1/prepare.

    Raises:
        ServiceError: the frame is preprocess-service's error.
        ValueError: the frame does not belong to /v1/prepare.
    """
    header = frame.header
    match header.get("type"):
        case "source":
            return SourceInfo.model_validate(header)
        case "segment":
            times = SegmentHeader.model_validate(header)
            return SpeechSegment(times.start_s, times.end_s, WavAudio(frame.payload), times.speech)
        case "progress":
            return PrepareProgress.model_validate(header)
        case "end":
            return PrepareEnd.model_validate(header)
        case _:
            raise _error_of(header)


def encode_clip_event(event: ClipAudio | SpeechCheck) -> bytes:
    """A frame of a decoded clip: the audio with the report on its file, or where it contains speech."""
    if isinstance(event, ClipAudio):
        return encode_frame({"type": "audio", **event.media.model_dump(exclude_defaults=True)}, event.audio.pcm)
    return encode_frame({"type": "speech", **event.model_dump()})


def decode_clip_event(frame: Frame) -> ClipAudio | SpeechCheck:
    """The audio or the speech check in a frame of /v1/clip.

    Raises:
        ServiceError: the frame is preprocess-service's error.
        ValueError: the frame does not belong to a decoded clip.
    """
    match frame.header.get("type"):
        case "audio":
            return ClipAudio(WavAudio(frame.payload), MediaReport.model_validate(frame.header))
        case "speech":
            return SpeechCheck.model_validate(frame.header)
        case _:
            raise _error_of(frame.header)


def encode_error(error: ServiceError) -> bytes:
    """The last frame of a stream that fails."""
    retry_after = error.headers().get("retry-after")
    return encode_frame({"type": "error", **error.envelope(), **({"retry_after": retry_after} if retry_after else {})})


def _error_of(header: dict[str, object]) -> ServiceError | ValueError:
    if header.get("type") == "error":
        retry_after = header.get("retry_after")
        return ServiceError.from_response(200, header, retry_after if isinstance(retry_after, str) else None)
    return ValueError("unknown frame type")

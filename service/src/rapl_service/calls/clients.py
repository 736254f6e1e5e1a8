"""The calling end of the wire: typed in, typed out, and every failure a ServiceError that names the backend."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from typing import IO, Any
from urllib.parse import quote, urlencode

import aiohttp
from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ServiceError
from rapl_protocol.frames import Frame, decode_frames, encode_frame, frame_pieces
from rapl_protocol.models import ModelInfo, ModelList
from rapl_protocol.prepared import (
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

from rapl_service.calls.call import CONNECT_TIMEOUT_S, Call, Http, Service, deadline, failures_named, unavailable

_DEFAULT_OPTIONS = PrepareOptions()


class TranscriberClient:
    """An engine, as another service calls it."""

    def __init__(self, http: Http, service: Service) -> None:
        self._http = http
        self.service = service

    async def transcribe(
        self, audio: WavAudio, options: TranscribeOptions, *, deadline_s: float, request_id: str | None = None
    ) -> Transcript:
        """Raises: ServiceError, with the engine's own code, or BACKEND_UNAVAILABLE or BACKEND_TIMEOUT."""
        body = frame_pieces(options.model_dump(exclude_none=True), audio.wav_header(), audio.pcm)
        call = Call(self._http, self.service, "POST", "/v1/transcribe", request_id)
        return await call.answer_as(Transcript, deadline_s, *body)

    async def stream(
        self, audio: WavAudio, options: TranscribeOptions, *, deadline_s: float, request_id: str | None = None
    ) -> AsyncGenerator[str | Transcript, None]:
        """Yields texts as they are decoded, if the engine has them before the end, and then the whole transcript.

        Raises:
            ServiceError: as `transcribe`, also after some texts. It never ends in silence without the transcript.
        """
        body = encode_frame({**options.model_dump(exclude_none=True), "stream": True}, audio.wav_header(), audio.pcm)
        call = Call(self._http, self.service, "POST", "/v1/transcribe", request_id)
        async with call.opened(deadline(deadline_s), body) as response:
            with _broken_frames_named(self.service):
                async for frame in decode_frames(response.content.iter_any()):
                    match frame.header:
                        case {"type": "text", "text": text}:
                            yield text
                        case {"type": "transcript", **transcript}:
                            yield Transcript.model_validate(transcript)
                            return
                        case {"type": "error", **envelope}:
                            raise ServiceError.from_response(200, envelope)
        raise unavailable(self.service, "broke off its answer")

    async def models(self, *, deadline_s: float = 2.0) -> list[ModelInfo]:
        return (await Call(self._http, self.service, "GET", "/v1/models").answer_as(ModelList, deadline_s)).models

    async def load(self, model_id: str, *, deadline_s: float = 10.0) -> ModelInfo:
        return await self._told("load", model_id, deadline_s)

    async def unload(self, model_id: str, *, deadline_s: float = 60.0) -> ModelInfo:
        return await self._told("unload", model_id, deadline_s)

    async def _told(self, what: str, model_id: str, deadline_s: float) -> ModelInfo:
        call = Call(self._http, self.service, "POST", f"/v1/models/{quote(model_id)}/{what}")
        return await call.answer_as(ModelInfo, deadline_s)


class PreprocessClient:
    """preprocess-service, as another service calls it."""

    def __init__(self, http: Http, service: Service) -> None:
        self._http = http
        self.service = service

    async def prepare(
        self,
        media: bytes | memoryview | IO[bytes],
        *,
        options: PrepareOptions = _DEFAULT_OPTIONS,
        idle_s: float,
        request_id: str | None = None,
    ) -> AsyncGenerator[PreparedEvent, None]:
        """Yields SourceInfo, then the speech segments in order as they are decoded, then PrepareEnd.

        Args:
            media: any file that FFmpeg's libraries read, from its start.
            options: what counts as speech. Media without any yield no segment.
            idle_s: how long to wait for the next event; the time between two that the caller takes does not count.
            request_id: named in the other service's log.

        Raises:
            ServiceError: AUDIO_UNDECODABLE where the media are at fault, BACKEND_UNAVAILABLE or BACKEND_TIMEOUT
                where the service is; also in the middle of the events. It never ends in silence without PrepareEnd.
        """
        ended = False
        limits = aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT_S, sock_read=idle_s)
        call = Call(self._http, self.service, "POST", _asked("/v1/prepare", options), request_id)
        async with call.opened(limits, media) as response:
            with _broken_frames_named(self.service):
                async for frame in decode_frames(response.content.iter_any()):
                    event = _event(frame.header, frame.payload)
                    ended = isinstance(event, PrepareEnd)
                    if not isinstance(event, PrepareProgress):
                        yield event
        if not ended:
            raise unavailable(self.service, "broke off its answer")

    async def clip(
        self,
        media: bytes | memoryview,
        options: PrepareOptions = _DEFAULT_OPTIONS,
        *,
        deadline_s: float,
        check_deadline_s: float,
        request_id: str | None = None,
    ) -> AsyncGenerator[WavAudio | SpeechCheck, None]:
        """Yields the audio of a file of up to MAX_SEGMENT_S, then, unless detection is off, whether it holds speech.

        Args:
            media: any file that FFmpeg's libraries read.
            options: what counts as speech.
            deadline_s: for the whole response.
            check_deadline_s: for the speech check, counted from when the caller asks for it.
            request_id: named in the other service's log.

        Raises:
            ServiceError: AUDIO_TOO_LARGE for longer media, AUDIO_UNDECODABLE, BACKEND_UNAVAILABLE or BACKEND_TIMEOUT.
                After the audio only BACKEND_UNAVAILABLE or BACKEND_TIMEOUT: the media are then not at fault.
        """
        call = Call(self._http, self.service, "POST", _asked("/v1/clip", options), request_id)
        async with call.opened(deadline(deadline_s), media) as response:
            frames = decode_frames(response.content.iter_any())
            with _broken_frames_named(self.service):
                yield WavAudio((await _next_frame(frames, "audio")).payload)
                if options.speech_detection == "off":
                    return
                with failures_named(self.service, check_deadline_s):
                    async with asyncio.timeout(check_deadline_s):
                        check = SpeechCheck.model_validate((await _next_frame(frames, "speech")).header)
        yield check

    async def speech(
        self,
        audio: WavAudio,
        options: PrepareOptions = _DEFAULT_OPTIONS,
        *,
        deadline_s: float,
        request_id: str | None = None,
    ) -> SpeechCheck:
        """Whether a clip of up to MAX_SEGMENT_S would become a segment; nothing of it comes back.

        Raises:
            ServiceError: AUDIO_TOO_LARGE where it is longer, BACKEND_UNAVAILABLE or BACKEND_TIMEOUT.
        """
        call = Call(self._http, self.service, "POST", _asked("/v1/speech", options), request_id)
        return await call.answer_as(SpeechCheck, deadline_s, audio.wav_header(), audio.pcm)

    async def is_live(self) -> bool:
        try:
            await Call(self._http, self.service, "GET", "/health/live").answer(2.0)
            return True
        except ServiceError:
            return False


def _asked(path: str, options: PrepareOptions) -> str:
    query = urlencode(options.model_dump(exclude_defaults=True))
    return f"{path}?{query}" if query else path


def _event(header: dict[str, Any], payload: bytes | memoryview) -> PreparedEvent | PrepareProgress:
    match header.get("type"):
        case "source":
            return SourceInfo.model_validate(header)
        case "segment":
            where = SegmentHeader.model_validate(header)
            return SpeechSegment(where.start_s, where.end_s, WavAudio(payload), where.speech_s)
        case "progress":
            return PrepareProgress.model_validate(header)
        case "end":
            return PrepareEnd.model_validate(header)
        case "error":
            raise ServiceError.from_response(200, header)
        case unknown:
            raise ValueError(f"unknown event {unknown!r}")


async def _next_frame(frames: AsyncIterator[Frame], kind: str) -> Frame:
    """Raises: ValueError: the next frame is an error or of another type, or there is none."""
    frame = await anext(frames, None)
    match frame and frame.header:
        case {"type": "error", "error": {"message": message}}:
            raise ValueError(message)
        case {"type": found} if frame and found == kind:
            return frame
    raise ValueError(f"no frame of type {kind!r}")


@contextmanager
def _broken_frames_named(service: Service) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise unavailable(service, f"broke off its answer ({error})") from error

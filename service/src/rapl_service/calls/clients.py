"""Typed clients of the services. Every failure is a ServiceError that names the service."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import IO
from urllib.parse import quote

import aiohttp
from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ServiceError, reason_of
from rapl_protocol.frames import Frame, decode_frames
from rapl_protocol.live_audio import LiveOptions
from rapl_protocol.models import ModelInfo, ModelList, ServiceHealth
from rapl_protocol.prepared import (
    ClipAudio,
    MediaReport,
    PreparedEvent,
    PrepareEnd,
    PrepareOptions,
    PrepareProgress,
    SpeechCheck,
)
from rapl_protocol.transcript import TranscribeOptions, Transcript
from rapl_protocol.wire import (
    decode_clip_event,
    decode_prepared_event,
    decode_transcript_event,
    encode_prepare_query,
    encode_transcribe_request,
)

from rapl_service.calls.call import CONNECT_TIMEOUT_S, Call, Http, Service, deadline, service_errors, unavailable
from rapl_service.calls.live_audio import DEFAULT_RESTART_WAIT_S, LiveAudio

_DEFAULT_OPTIONS = PrepareOptions()


class ModelHostClient:
    """Client of what every engine has: its models."""

    def __init__(self, http: Http, service: Service) -> None:
        self._http = http
        self.service = service

    async def report(self, *, deadline_s: float = 2.0) -> ModelList:
        """The engine's models and the memory of its process."""
        return await Call(self._http, self.service, "GET", "/v1/models").fetch_as(ModelList, deadline_s)

    async def models(self, *, deadline_s: float = 2.0) -> list[ModelInfo]:
        return (await self.report(deadline_s=deadline_s)).models

    async def load(self, model_id: str, *, deadline_s: float = 10.0) -> ModelInfo:
        return await self._change("POST", model_id, "/load", deadline_s)

    async def unload(self, model_id: str, *, deadline_s: float = 60.0) -> ModelInfo:
        return await self._change("POST", model_id, "/unload", deadline_s)

    async def remove(self, model_id: str, *, deadline_s: float = 60.0) -> ModelInfo:
        return await self._change("DELETE", model_id, "", deadline_s)

    async def _change(self, method: str, model_id: str, action: str, deadline_s: float) -> ModelInfo:
        call = Call(self._http, self.service, method, f"/v1/models/{quote(model_id)}{action}")
        return await call.fetch_as(ModelInfo, deadline_s)


class TranscriberClient(ModelHostClient):
    """Client of an engine for transcription."""

    async def transcribe(
        self, audio: WavAudio, options: TranscribeOptions, *, deadline_s: float, request_id: str | None = None
    ) -> Transcript:
        """Raises: ServiceError, with the engine's code, BACKEND_UNAVAILABLE or BACKEND_TIMEOUT."""
        body = encode_transcribe_request(audio, options)
        call = Call(self._http, self.service, "POST", "/v1/transcribe", request_id)
        return await call.fetch_as(Transcript, deadline_s, *body)

    async def stream(
        self, audio: WavAudio, options: TranscribeOptions, *, deadline_s: float, request_id: str | None = None
    ) -> AsyncGenerator[str | Transcript, None]:
        """Yields pieces of text as they are decoded, if the engine decodes word by word, then the whole transcript.

        Raises:
            ServiceError: same as `transcribe`, also after some texts. Without an error, the transcript is always last.
        """
        body = b"".join(encode_transcribe_request(audio, options, is_streamed=True))
        call = Call(self._http, self.service, "POST", "/v1/transcribe", request_id)
        async with call.stream(deadline(deadline_s), body) as response:
            with _frame_errors(self.service):
                async for frame in decode_frames(response.content.iter_any()):
                    event = decode_transcript_event(frame)
                    yield event
                    if isinstance(event, Transcript):
                        return
        raise unavailable(self.service, "closed the connection before its response was complete")


class PreprocessClient:
    """Client of preprocess-service."""

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
            options: options of speech detection. Media without speech yields no segment.
            idle_s: seconds to wait for the next event; the time that the caller needs for an event does not count.
            request_id: for the log of preprocess-service.

        Raises:
            ServiceError: AUDIO_UNDECODABLE for broken media, BACKEND_UNAVAILABLE or BACKEND_TIMEOUT for a failed
                service; also between events. Without an error, PrepareEnd is always the last event.
        """
        ended = False
        limits = aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT_S, sock_read=idle_s)
        call = Call(self._http, self.service, "POST", _with_query("/v1/prepare", options), request_id)
        async with call.stream(limits, media) as response:
            with _frame_errors(self.service):
                async for frame in decode_frames(response.content.iter_any()):
                    event = decode_prepared_event(frame)
                    ended = isinstance(event, PrepareEnd)
                    if not isinstance(event, PrepareProgress):
                        yield event
        if not ended:
            raise unavailable(self.service, "closed the connection before its response was complete")

    @asynccontextmanager
    async def clip(
        self,
        media: bytes | memoryview,
        options: PrepareOptions = _DEFAULT_OPTIONS,
        *,
        deadline_s: float,
        request_id: str | None = None,
    ) -> AsyncGenerator["DecodedClip"]:
        """Decodes a file of up to MAX_SEGMENT_S; inside the context, await `DecodedClip.speech_check`.

        Args:
            media: any file that FFmpeg's libraries read.
            options: options of speech detection.
            deadline_s: seconds for the whole response.
            request_id: for the log of preprocess-service.

        Raises:
            ServiceError: AUDIO_TOO_LARGE for longer media, AUDIO_UNDECODABLE, BACKEND_UNAVAILABLE or BACKEND_TIMEOUT.
        """
        call = Call(self._http, self.service, "POST", _with_query("/v1/clip", options), request_id)
        async with aclosing(call.pieces(deadline_s, media)) as pieces:
            clip = DecodedClip(self.service, decode_frames(pieces))
            await clip.read_audio(is_last=options.speech_detection == "off")
            yield clip

    async def speech(
        self,
        audio: WavAudio,
        options: PrepareOptions = _DEFAULT_OPTIONS,
        *,
        deadline_s: float,
        request_id: str | None = None,
    ) -> SpeechCheck:
        """Whether a clip of up to MAX_SEGMENT_S contains speech.

        Raises:
            ServiceError: AUDIO_TOO_LARGE for longer audio, BACKEND_UNAVAILABLE or BACKEND_TIMEOUT.
        """
        call = Call(self._http, self.service, "POST", _with_query("/v1/speech", options), request_id)
        return await call.fetch_as(SpeechCheck, deadline_s, audio.wav_header(), audio.pcm)

    def live(
        self,
        options: LiveOptions,
        *,
        restart_wait_s: float = DEFAULT_RESTART_WAIT_S,
        request_id: str | None = None,
        on_retry: Callable[[], None] = lambda: None,
    ) -> LiveAudio:
        """A session of live audio; enter it as a context manager.

        Args:
            options: the format of the audio, and the detection of turns.
            restart_wait_s: how long the session waits for a service that is down, in seconds.
            request_id: for the log of preprocess-service.
            on_retry: as in `LiveAudio`.
        """
        return LiveAudio(self.service, options, restart_wait_s, request_id, on_retry)

    async def health(self) -> ServiceHealth:
        """Raises: ServiceError, if the service cannot be reached."""
        return await Call(self._http, self.service, "GET", "/health/ready").fetch_as(ServiceHealth, 2.0)


def _with_query(path: str, options: PrepareOptions) -> str:
    query = encode_prepare_query(options)
    return f"{path}?{query}" if query else path


@contextmanager
def _frame_errors(service: Service) -> Generator[None]:
    try:
        yield
    except ValueError as error:
        # The cause is left out: its message may quote the response, which may be a transcript.
        raise unavailable(service, f"sent a broken response ({reason_of(error)})") from None


class DecodedClip:
    """The response of /v1/clip: first the audio, then whether it contains speech."""

    audio: WavAudio
    media: MediaReport

    def __init__(self, service: Service, frames: AsyncIterator[Frame]) -> None:
        self._service = service
        self._frames = frames

    async def read_audio(self, *, is_last: bool) -> None:
        """Reads the first frame and sets `audio` and `media`. Raises: ServiceError, BACKEND_UNAVAILABLE."""
        event = await self._next(is_last=is_last)
        if not isinstance(event, ClipAudio):
            raise unavailable(self._service, "closed the connection before its response was complete")
        self.audio, self.media = event.audio, event.media

    async def speech_check(self, *, deadline_s: float) -> SpeechCheck:
        """Whether the clip contains speech. Raises: ServiceError, BACKEND_UNAVAILABLE or BACKEND_TIMEOUT."""
        with service_errors(self._service, deadline_s):
            async with asyncio.timeout(deadline_s):
                event = await self._next(is_last=True)
        if not isinstance(event, SpeechCheck):
            raise unavailable(self._service, "closed the connection before its response was complete")
        return event

    async def _next(self, *, is_last: bool) -> ClipAudio | SpeechCheck | None:
        """The event of the next frame. After the last one it reads to the end, so that the connection is reused."""
        with _frame_errors(self._service):
            frame = await anext(self._frames, None)
            if is_last:
                await anext(self._frames, None)
            try:
                return frame and decode_clip_event(frame)
            except ServiceError as error:
                raise unavailable(self._service, f"failed ({error.message})") from error

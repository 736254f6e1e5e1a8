"""The client of speaker-service. Every failure is a ServiceError that names the service."""

from collections.abc import AsyncGenerator, AsyncIterable

import aiohttp
from rapl_protocol.audio import WavAudio
from rapl_protocol.speakers import (
    DIARIZATIONS_PATH,
    EMBEDDINGS_PATH,
    Diarization,
    DiarizationEvent,
    VoiceEmbedding,
    encode_diarization_event,
)

from rapl_service.calls.call import CONNECT_TIMEOUT_S, Call, unavailable
from rapl_service.calls.clients import ModelHostClient

_PIECE_BYTES = 1 << 18
"""aiohttp writes each piece in one call, which blocks the event loop if the piece is large."""


class SpeakerClient(ModelHostClient):
    async def diarize(
        self, events: AsyncIterable[DiarizationEvent], *, idle_s: float, request_id: str | None = None
    ) -> Diarization:
        """Returns who speaks when in a recording.

        Args:
            events: the options, the references, and the speech as it becomes known. It is not read before the service
                has accepted the connection, and only as fast as the service reads.
            idle_s: how long the service may take after the last event, in seconds.
            request_id: for the log of speaker-service.

        Raises:
            ServiceError: the service's own error, or BACKEND_UNAVAILABLE or BACKEND_TIMEOUT.
        """
        call = Call(self._http, self.service, "POST", DIARIZATIONS_PATH, request_id)
        limits = aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT_S, sock_read=idle_s)
        async with call.stream(limits, _body(events)) as response:
            answer = await response.read()
        try:
            return Diarization.model_validate_json(answer)
        except ValueError:
            raise unavailable(self.service, "sent a response that is not a valid Diarization") from None

    async def embedding(self, audio: WavAudio, *, deadline_s: float, request_id: str | None = None) -> VoiceEmbedding:
        """Returns the voice in a piece of audio of up to MAX_SEGMENT_S. Raises: ServiceError."""
        call = Call(self._http, self.service, "POST", EMBEDDINGS_PATH, request_id)
        return await call.fetch_as(VoiceEmbedding, deadline_s, audio.wav_header(), audio.pcm)


async def _body(events: AsyncIterable[DiarizationEvent]) -> AsyncGenerator[bytes | memoryview, None]:
    async for event in events:
        for part in encode_diarization_event(event):
            for at in range(0, len(part), _PIECE_BYTES):
                yield part[at : at + _PIECE_BYTES]

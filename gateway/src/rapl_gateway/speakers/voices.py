"""The speakers of a realtime session: each turn is compared with the voices of the turns before it."""

import asyncio
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

from rapl_protocol.audio import BYTES_PER_SECOND, WavAudio
from rapl_protocol.errors import ServiceError
from rapl_protocol.speakers import VoiceEmbedding

from rapl_gateway.speakers.labels import letters
from rapl_gateway.speakers.service import SpeakerService

_LONGEST_S = 20.0
"""Seconds from the start of a turn that are compared: more adds little to a voice."""
_CERTAIN_S = 1.5
"""A turn with less speech makes no new speaker: its voice is uncertain."""
_DEADLINE_S = 5.0
"""A turn does not wait longer for its speaker, in seconds. It usually takes a tenth of a second, beside its text."""

log = logging.getLogger("rapl")


@dataclass(slots=True)
class _Voice:
    label: str
    sum: list[float]
    """The embeddings of its turns, each times its seconds of speech."""

    def cosine(self, embedding: Sequence[float]) -> float:
        length = math.hypot(*self.sum)
        return sum(a * b for a, b in zip(self.sum, embedding, strict=True)) / length if length else 0.0

    def add(self, embedding: Sequence[float], speech_s: float) -> None:
        self.sum = [a + b * speech_s for a, b in zip(self.sum, embedding, strict=True)]


class SessionVoices:
    """The voices of one session.

    Args:
        service: gives the embedding of each turn.
        request_id: of the session.
    """

    def __init__(self, service: SpeakerService, request_id: str) -> None:
        self._service = service
        self._request_id = request_id
        self._voices: list[_Voice] = []
        self._letters = letters()
        self._turn = asyncio.Lock()

    async def speaker(self, pcm: bytes) -> str | None:
        """Returns the letter of who speaks in a turn; None if it has no speech, or if the service fails. Turns are
        compared in the order of their calls."""
        async with self._turn:
            try:
                found = await self._service.embedding(
                    WavAudio(pcm), deadline_s=_DEADLINE_S, request_id=self._request_id
                )
            except ServiceError as error:
                log.warning("request_id=%s a turn has no speaker: error=%s", self._request_id, error.code.value)
                return None
            return self._label(found)

    def _label(self, found: VoiceEmbedding) -> str | None:
        if found.embedding is None:
            return None
        embedding = found.embedding
        nearest = max(self._voices, key=lambda voice: voice.cosine(embedding), default=None)
        is_certain = found.speech_s >= _CERTAIN_S
        if nearest is None or (is_certain and nearest.cosine(embedding) < found.same_voice_cosine):
            nearest = _Voice(next(self._letters), [0.0] * len(embedding))
            self._voices.append(nearest)
        if is_certain or len(self._voices) == 1:
            nearest.add(embedding, found.speech_s)
        return nearest.label


class TurnVoice:
    """The voice of one turn, which is compared when the turn has ended, beside its final text."""

    def __init__(self, voices: SessionVoices) -> None:
        self._voices = voices
        self._pcm = bytearray()
        self._speaker: asyncio.Task[str | None] | None = None

    def append(self, pcm: bytes) -> None:
        """Adds audio: 16 kHz mono s16le."""
        if len(self._pcm) < _LONGEST_S * BYTES_PER_SECOND:
            self._pcm += pcm

    def commit(self) -> None:
        """Ends the turn. A second call does nothing."""
        if self._speaker is None:
            pcm = bytes(self._pcm[: int(_LONGEST_S * BYTES_PER_SECOND)])
            self._speaker = asyncio.create_task(self._voices.speaker(pcm))
            self._pcm.clear()

    async def speaker(self) -> str | None:
        """Returns who speaks in the turn, after its end; None if it is not known."""
        return await self._speaker if self._speaker else None

    async def close(self) -> None:
        """Cancels the comparison, if it has not ended."""
        if self._speaker:
            self._speaker.cancel()
            await asyncio.wait({self._speaker})

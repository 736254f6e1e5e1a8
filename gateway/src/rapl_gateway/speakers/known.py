"""The known speakers of a request: their names, and a clip of each one's voice."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rapl_protocol.audio import BYTES_PER_SECOND, WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.intervals import total_s
from rapl_protocol.prepared import PrepareOptions
from rapl_protocol.speakers import MAX_REFERENCE_S, MIN_REFERENCE_S, SpeakerReference
from rapl_service.calls.clients import PreprocessClient

from rapl_gateway.speakers.process import unusable_clip
from rapl_gateway.transcription.segments import PREPARE_IDLE_S

_ROUNDING_S = 0.1
"""Encoders add up to this much silence to a clip."""
_MIN_SPEECH_S = 1.0
"""Least speech in a clip, in seconds: less says little about a voice."""
_NOT_A_CLIP = {
    ErrorCode.AUDIO_UNDECODABLE: "is not audio that can be decoded.",
    ErrorCode.AUDIO_TOO_LARGE: f"is longer than {MAX_REFERENCE_S:g} s.",
}
"""Errors of preprocess-service that are about the clip."""


@dataclass(frozen=True, slots=True)
class KnownSpeaker:
    name: str = field(repr=False)
    clip: bytes = field(repr=False)
    """A media file."""


@dataclass(frozen=True, slots=True)
class SpeakerRequest:
    """What a request asks about its speakers."""

    known: tuple[KnownSpeaker, ...] = ()
    count: int | None = None
    """How many people speak, if the client knows it."""
    has_word_times: bool = False
    """Whether the engine gives the times of words. If not, the audio is cut where the speaker changes, before it is
    transcribed."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(speaker.name for speaker in self.known)


async def references_of(
    known: Sequence[KnownSpeaker], preprocess: PreprocessClient, request_id: str
) -> list[SpeakerReference]:
    """Decodes the clips and returns their audio.

    Raises:
        ServiceError: INVALID_REQUEST, with the number of the first clip that cannot be used.
    """
    return [
        SpeakerReference(await _audio(number, speaker.clip, preprocess, request_id))
        for number, speaker in enumerate(known)
    ]


async def _audio(number: int, clip: bytes, preprocess: PreprocessClient, request_id: str) -> WavAudio:
    try:
        async with preprocess.clip(clip, PrepareOptions(), deadline_s=PREPARE_IDLE_S, request_id=request_id) as decoded:
            speech = (await decoded.speech_check(deadline_s=PREPARE_IDLE_S)).speech
            audio = decoded.audio
    except ServiceError as error:
        if error.code not in _NOT_A_CLIP:
            raise
        raise unusable_clip(number, _NOT_A_CLIP[error.code]) from None
    if not MIN_REFERENCE_S - _ROUNDING_S <= audio.duration_s <= MAX_REFERENCE_S + _ROUNDING_S:
        limits = f"{MIN_REFERENCE_S:g} to {MAX_REFERENCE_S:g} s"
        raise unusable_clip(number, f"lasts {audio.duration_s:.1f} s. A clip of a known speaker lasts {limits}.")
    speech_s = total_s(speech)
    if speech_s < _MIN_SPEECH_S:
        found = f"only {speech_s:.1f} s of speech" if speech else "no speech"
        raise unusable_clip(number, f"has {found}. At least {_MIN_SPEECH_S:g} s are needed.")
    return WavAudio(audio.pcm[: int(MAX_REFERENCE_S * BYTES_PER_SECOND)])

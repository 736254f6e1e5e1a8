"""What preprocess-service returns: the source's description, its speech segments in order, then the end.

/v1/speech returns a SpeechCheck instead: whether a clip contains speech.
"""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from rapl_protocol.audio import WavAudio
from rapl_protocol.intervals import Intervals

MAX_SEGMENT_S = 30.0
"""The longest segment, in seconds. SenseVoice's attention grows with the square of the length: 16 MB of scores for a
minute, 54 GB for an hour. Source: https://github.com/QwenAudio/SenseVoice/issues/7"""


class PrepareOptions(BaseModel):
    """Options of a request to preprocess-service, sent as the query of the URL.

    The fields of speech detection have the names and the meaning of OpenAI's `server_vad`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    speech_detection: Literal["on", "off"] = "on"
    """If it is off, all audio becomes segments, even if it contains no speech."""
    vad_threshold: float = Field(default=0.5, ge=0, le=1, allow_inf_nan=False)
    """Lowest probability at which a frame counts as speech. A higher value requires clearer speech."""
    vad_prefix_padding_ms: int = Field(default=500, ge=0, le=5_000)
    """Milliseconds of audio that a segment keeps before and after its speech."""
    vad_silence_duration_ms: int = Field(default=500, ge=0, le=10_000)
    """Milliseconds of silence that end an utterance; long audio is cut between utterances if possible."""
    audio_track: int | None = Field(default=None, ge=0, le=1_000)
    """Number of the audio track to read, from 0, as in FFmpeg's `0:a:NUMBER`. None: the default track, or the first
    other one with speech if the default track has none or cannot be decoded."""


class SpeechCheck(BaseModel):
    """Where a clip contains speech, by the rules of /v1/prepare."""

    model_config = ConfigDict(frozen=True)

    speech: Intervals
    """Speech without pauses and padding. A clip without any would not become a segment."""


class Damage(BaseModel):
    """A part of the source that could not be read. Its place counts in the source's own time."""

    model_config = ConfigDict(frozen=True)

    reason: Literal["undecodable", "cut_off"]
    """"undecodable": the file has data here that cannot be decoded. "cut_off": the file ends before its announced or
    measured end."""
    start_s: float
    end_s: float | None
    """None if it lasts to the end of the source and its duration is not known."""


class AudioTrack(BaseModel):
    """An audio track of the media file."""

    model_config = ConfigDict(frozen=True)

    number: int
    """From 0, among the audio tracks of the file."""
    codec: str | None = None
    """FFmpeg's name of the codec; None if FFmpeg does not know the codec."""
    language: str | None = None
    """The language in the file's metadata, as the file writes it, such as "eng"."""
    is_default: bool = False
    """Whether the file marks the track as the default one."""


class MediaReport(BaseModel):
    """Which part of the media file was read, and which was not."""

    model_config = ConfigDict(frozen=True)

    damage: tuple[Damage, ...] = ()
    """In order of time, without overlaps."""
    audio_track: int | None = None
    """Number of the audio track that was read; None if the media are bare audio."""
    other_tracks: tuple[AudioTrack, ...] = ()
    """The audio tracks that were not read."""

    @property
    def damaged_s(self) -> float:
        """Seconds of damage, without damage of unknown duration."""
        return sum((each.end_s - each.start_s for each in self.damage if each.end_s is not None), 0.0)


NOTHING_TO_REPORT = MediaReport()


class SourceInfo(BaseModel):
    """The media file, as FFmpeg's libraries describe it."""

    model_config = ConfigDict(frozen=True)

    type: Literal["source"] = "source"
    container: str
    """FFmpeg's name of the demuxer, such as "matroska,webm"."""
    codec: str
    sample_rate_hz: int
    channels: int
    duration_s: float | None = None
    """Duration in the file's header, which may be wrong; None if the header has none."""


class SegmentHeader(BaseModel):
    """The times of a segment in the source. Its samples are the payload of the frame."""

    model_config = ConfigDict(frozen=True)

    type: Literal["segment"] = "segment"
    start_s: float
    end_s: float
    speech: Intervals | None = None
    """Speech in the segment, without pauses and padding, from the segment's start; None if it is not known."""


class PrepareEnd(BaseModel):
    """The last event. A response without it is incomplete."""

    model_config = ConfigDict(frozen=True)

    type: Literal["end"] = "end"
    duration_s: float
    """Duration of the whole source."""
    speech_s: float | None = None
    """Seconds of speech without pauses and padding; None if speech detection did not run."""
    speech: Intervals | None = None
    """The speech of a source that is one segment, which was sent before its speech was known; otherwise None."""
    media: MediaReport = NOTHING_TO_REPORT


@dataclass(frozen=True, slots=True)
class ClipAudio:
    """The whole audio of a clip, and what was read of its file."""

    audio: WavAudio
    media: MediaReport = NOTHING_TO_REPORT


class PrepareProgress(BaseModel):
    """Sent if there was no segment for a while, so that hours of silence do not look like a hung service."""

    model_config = ConfigDict(frozen=True)

    type: Literal["progress"] = "progress"
    position_s: float
    """Seconds of the source that have been decoded."""


@dataclass(frozen=True, slots=True)
class SpeechSegment:
    """A part of the source of at most MAX_SEGMENT_S. Its times count from the start of the source."""

    start_s: float
    end_s: float
    audio: WavAudio
    speech: Intervals | None = None
    """Speech in the segment, without pauses and padding, from the segment's start. None if speech detection did not
    run, or has not ended for a source that is one segment: `PrepareEnd` then has it."""


PreparedEvent = SourceInfo | SpeechSegment | PrepareEnd

"""Which of several audio tracks is read, and what the answer says about the others."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.prepared import AudioTrack, PreparedEvent, PrepareEnd, PrepareOptions, SourceInfo
from rapl_service.calls.clients import DecodedClip, PreprocessClient

RATE_HZ = 16_000
SPEECH_WAV = Path(__file__).parents[3] / "samples" / "three-one-four.wav"
VOICE = np.frombuffer(WavAudio.from_wav(SPEECH_WAV.read_bytes()).pcm, "<i2").astype(np.float32) / 32_768
SILENCE = np.zeros_like(VOICE)
TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(len(VOICE)) / RATE_HZ)).astype(np.float32)
NONE, DEFAULT = Disposition(0), Disposition.default
ON, OFF = PrepareOptions(), PrepareOptions(speech_detection="off")


@dataclass
class Written:
    """A track of a file that a test writes."""

    sound: np.ndarray
    """float32, (samples,), at 16 kHz"""
    disposition: Disposition = NONE
    codec: str = "aac"
    language: str | None = None
    is_broken: bool = False
    """Whether its packets are bytes that no decoder takes."""


def file_of(container: str, *tracks: Written) -> bytes:
    written = io.BytesIO()
    with av.open(written, "w", format=container) as output:
        streams = [output.add_stream(track.codec, rate=RATE_HZ, layout="mono") for track in tracks]
        for stream, track in zip(streams, tracks, strict=True):
            stream.disposition = track.disposition
            if track.language:
                stream.metadata["language"] = track.language
        packets = [p for stream, track in zip(streams, tracks, strict=True) for p in packets_of(stream, track)]
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            output.mux(packet)
    return written.getvalue()


def packets_of(stream: av.AudioStream, track: Written) -> list[av.Packet]:
    resampler = av.AudioResampler(stream.format, "mono", RATE_HZ, frame_size=stream.frame_size or None)
    whole = av.AudioFrame.from_ndarray(track.sound[None], format="fltp", layout="mono")
    whole.sample_rate, whole.pts = RATE_HZ, 0
    frames = resampler.resample(whole) + resampler.resample(None)
    packets = [packet for frame in [*frames, None] for packet in stream.encode(frame)]
    return [broken(packet) for packet in packets] if track.is_broken else packets


def broken(packet: av.Packet) -> av.Packet:
    other = av.Packet(b"\xff" * packet.size)
    other.stream, other.time_base = packet.stream, packet.time_base
    other.pts, other.dts, other.duration = packet.pts, packet.dts, packet.duration
    return other


def with_unknown_codec(media: bytes) -> bytes:
    """The mov or mkv file with a codec in its first track that FFmpeg does not know, as today's iPhones write it."""
    in_mov, in_mkv = [(b"mp4a", b"apac"), (b"mp4a", b"apac"), (b"esds", b"free")], [(b"A_AAC", b"A_XYZ")]
    for known, unknown in in_mkv if b"A_AAC" in media else in_mov:
        media = media.replace(known, unknown, 1)
    return media


@dataclass
class Answers:
    """What /v1/prepare and /v1/clip answer for the same file."""

    events: list[PreparedEvent]
    clip: DecodedClip

    @property
    def end(self) -> PrepareEnd:
        assert isinstance(self.events[-1], PrepareEnd)
        return self.events[-1]

    @property
    def audio_track(self) -> int | None:
        assert self.end.media == self.clip.media
        return self.end.media.audio_track

    @property
    def other_tracks(self) -> list[int]:
        return [track.number for track in self.end.media.other_tracks]

    @property
    def has_speech(self) -> bool:
        return bool(self.end.speech_s)


@pytest.fixture
def ask(client: PreprocessClient):
    async def ask(media: bytes, options: PrepareOptions = ON) -> Answers:
        events = [event async for event in client.prepare(media, options=options, idle_s=30)]
        async with client.clip(media, options, deadline_s=30) as clip:
            if options.speech_detection == "on":
                check = await clip.speech_check(deadline_s=30)
                assert bool(check.speech) == bool(events[-1].speech_s)
        return Answers(events, clip)

    return ask


CHOICES: dict[str, tuple[Callable[[], bytes], int]] = {
    "the default track": (lambda: file_of("matroska", Written(VOICE), Written(VOICE, DEFAULT)), 1),
    "the first one if none is marked": (lambda: file_of("matroska", Written(VOICE), Written(VOICE)), 0),
    "the first one if all are marked": (
        lambda: file_of("matroska", Written(VOICE, DEFAULT), Written(VOICE, DEFAULT)),
        0,
    ),
    "the first one in a format without marks": (lambda: file_of("mpegts", Written(VOICE), Written(VOICE)), 0),
    "a silent first track": (lambda: file_of("mp4", Written(SILENCE, DEFAULT), Written(VOICE)), 1),
    "music in the first track": (lambda: file_of("mpegts", Written(TONE), Written(VOICE)), 1),
    "a silent default track behind the voice": (
        lambda: file_of("matroska", Written(VOICE), Written(SILENCE, DEFAULT)),
        0,
    ),
    "two silent tracks before the voice": (
        lambda: file_of("mov", Written(SILENCE), Written(SILENCE), Written(VOICE)),
        2,
    ),
    "a first track that cannot be decoded": (
        lambda: file_of("matroska", Written(VOICE, DEFAULT, "flac", is_broken=True), Written(VOICE)),
        1,
    ),
    "a first track with an unknown codec in mov": (
        lambda: with_unknown_codec(file_of("mov", Written(VOICE, DEFAULT), Written(VOICE))),
        1,
    ),
    "a first track with an unknown codec in mkv": (
        lambda: with_unknown_codec(file_of("matroska", Written(VOICE, DEFAULT), Written(VOICE))),
        1,
    ),
    "commentary before the main track": (
        lambda: file_of("matroska", Written(VOICE, Disposition.comment), Written(VOICE)),
        1,
    ),
    "audio description before the main track": (
        lambda: file_of("matroska", Written(VOICE, Disposition.visual_impaired), Written(VOICE)),
        1,
    ),
    "commentary that is marked as default": (
        lambda: file_of("matroska", Written(VOICE), Written(VOICE, DEFAULT | Disposition.comment)),
        1,
    ),
    "other codecs": (
        lambda: file_of("matroska", Written(SILENCE, DEFAULT, "flac"), Written(VOICE, codec="libopus")),
        1,
    ),
}


@pytest.mark.parametrize("name", CHOICES)
async def test_of_several_tracks_the_one_with_the_voice_is_read(ask, name: str):
    make, chosen = CHOICES[name]

    answers = await ask(make())

    assert answers.has_speech
    assert answers.audio_track == chosen
    assert chosen not in answers.other_tracks
    assert len(answers.other_tracks) == (2 if chosen == 2 else 1)


async def test_the_tracks_that_were_not_read_are_described(ask):
    tracks = [Written(SILENCE, DEFAULT, "flac", "ger"), Written(VOICE), Written(VOICE, language="eng")]

    answers = await ask(file_of("matroska", *tracks))

    assert answers.end.media.other_tracks == (
        AudioTrack(number=0, codec="flac", language="ger", is_default=True),
        AudioTrack(number=2, codec="aac", language="eng", is_default=False),
    )


async def test_a_file_with_one_track_has_no_track_number(ask):
    assert (await ask(file_of("mp4", Written(VOICE)))).audio_track is None


@pytest.mark.parametrize("options", [ON, OFF])
@pytest.mark.parametrize("wanted", [0, 1, 2])
async def test_a_request_chooses_its_track(ask, best_match, wanted: int, options: PrepareOptions):
    sounds = [VOICE, SILENCE, TONE]
    media = file_of("matroska", *[Written(sound, codec="flac") for sound in sounds])

    answers = await ask(media, options.model_copy(update={"audio_track": wanted}))

    samples = np.frombuffer(answers.clip.audio.pcm, "<i2") / 32_768
    assert np.abs(samples - sounds[wanted]).max() < 0.001
    assert answers.audio_track == wanted
    assert len(answers.other_tracks) == 2


@pytest.mark.parametrize("make", [lambda: file_of("mp4", Written(VOICE)), SPEECH_WAV.read_bytes], ids=["mp4", "wav"])
async def test_the_only_track_may_be_chosen_too(ask, make: Callable[[], bytes]):
    answers = await ask(make(), PrepareOptions(audio_track=0))

    assert (answers.audio_track, answers.other_tracks) == (0, [])


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (lambda: file_of("matroska", Written(VOICE), Written(VOICE)), "2 audio tracks"),
        (lambda: file_of("mp4", Written(VOICE)), "1 audio track,"),
        (SPEECH_WAV.read_bytes, "1 audio track,"),
    ],
    ids=["mkv", "mp4", "wav"],
)
async def test_a_track_that_does_not_exist_is_a_400_that_says_how_many_there_are(
    client: PreprocessClient, make: Callable[[], bytes], count: str
):
    options = PrepareOptions(audio_track=2)

    with pytest.raises(ServiceError, match=count) as prepared:
        [event async for event in client.prepare(make(), options=options, idle_s=30)]
    with pytest.raises(ServiceError, match=count) as clipped:
        async with client.clip(make(), options, deadline_s=30):
            pass

    for caught in (prepared, clipped):
        assert (caught.value.code, caught.value.param) == (ErrorCode.INVALID_REQUEST, "audio_track")


async def test_a_chosen_track_is_not_replaced_if_it_cannot_be_decoded(client: PreprocessClient):
    media = with_unknown_codec(file_of("mov", Written(VOICE), Written(VOICE)))

    with pytest.raises(ServiceError, match="codec is not supported") as caught:
        [event async for event in client.prepare(media, options=PrepareOptions(audio_track=0), idle_s=30)]

    assert caught.value.code is ErrorCode.AUDIO_UNDECODABLE


async def test_without_any_speech_the_default_track_is_the_answer(ask):
    answers = await ask(file_of("matroska", Written(TONE), Written(TONE, DEFAULT), Written(SILENCE)))

    assert not answers.has_speech
    assert answers.audio_track == 1
    assert answers.other_tracks == [0, 2]
    assert isinstance(answers.events[0], SourceInfo)


async def test_without_speech_detection_the_default_track_is_read_even_if_it_is_silent(ask):
    answers = await ask(file_of("matroska", Written(VOICE), Written(SILENCE, DEFAULT)), OFF)

    assert answers.audio_track == 1


async def test_without_speech_detection_a_track_that_cannot_be_decoded_is_passed_over(ask):
    answers = await ask(with_unknown_codec(file_of("mov", Written(VOICE, DEFAULT), Written(VOICE))), OFF)

    assert answers.audio_track == 1


async def test_a_file_of_which_no_track_can_be_decoded_is_a_400(client: PreprocessClient):
    media = file_of("matroska", *[Written(VOICE, codec="flac", is_broken=True)] * 2)

    with pytest.raises(ServiceError) as caught:
        [event async for event in client.prepare(media, idle_s=30)]

    assert caught.value.code is ErrorCode.AUDIO_UNDECODABLE


async def test_no_more_than_eight_tracks_are_tried_and_all_others_are_named(ask):
    short = SILENCE[:RATE_HZ]

    tried = await ask(file_of("matroska", *[Written(short)] * 7, Written(VOICE)))
    left_out = await ask(file_of("matroska", *[Written(short)] * 8, Written(VOICE)))

    assert tried.audio_track == 7
    assert (left_out.audio_track, left_out.has_speech) == (0, False)
    assert left_out.other_tracks == list(range(1, 9))


async def test_a_recording_with_a_silent_default_track_is_read_from_the_other_one(client: PreprocessClient):
    minute = np.zeros(60 * RATE_HZ, np.float32)
    spoken = minute.copy()
    spoken[40 * RATE_HZ :][: len(VOICE)] = VOICE
    media = file_of("matroska", Written(minute, DEFAULT, "flac"), Written(spoken, codec="flac"))

    events = [event async for event in client.prepare(media, idle_s=30)]

    source, segment, end = events
    assert isinstance(source, SourceInfo)
    assert segment.start_s == pytest.approx(40, abs=1)
    assert (end.duration_s, end.media.audio_track) == (60.0, 1)


async def test_the_times_are_those_of_the_file_whichever_track_is_read(client: PreprocessClient):
    late = np.concatenate([np.zeros(2 * RATE_HZ, np.float32), VOICE])
    media = file_of("mp4", Written(np.zeros_like(late), DEFAULT), Written(late))

    [*_, end] = [event async for event in client.prepare(media, idle_s=30)]

    assert end.speech[0].start_s == pytest.approx(2.7, abs=0.15)

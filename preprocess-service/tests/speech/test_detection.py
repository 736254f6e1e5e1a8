"""Speech is found, completely, and becomes segments; nothing else does."""

import asyncio
import io
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from rapl_preprocess.speech.segmenter import SpeechSegmenter
from rapl_preprocess.speech.silero import SpeechModel
from rapl_protocol.audio import WavAudio
from rapl_protocol.prepared import PrepareOptions
from rapl_service.calls.call import Http

RATE_HZ = 16_000
ON = PrepareOptions()
OFF = PrepareOptions(speech_detection="off")

Prepare = Callable[..., Awaitable[Any]]


def wav(samples: np.ndarray) -> bytes:
    """float, (samples,), [-1, 1], as a canonical WAV."""
    return WavAudio((np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes()).to_wav()


def silence(duration_s: float) -> np.ndarray:
    return np.zeros(round(duration_s * RATE_HZ))


def white(duration_s: float, seed: int = 1) -> np.ndarray:
    """Like all sounds here it has the loudness 1 (rms); `at` scales it."""
    return np.random.default_rng(seed).standard_normal(round(duration_s * RATE_HZ))


def pink(duration_s: float) -> np.ndarray:
    spectrum = np.fft.rfft(white(duration_s))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    return evenly(np.fft.irfft(spectrum, round(duration_s * RATE_HZ)))


def tone(duration_s: float, hz: float = 220) -> np.ndarray:
    return evenly(np.sin(2 * np.pi * hz * np.arange(round(duration_s * RATE_HZ)) / RATE_HZ))


def music(duration_s: float, seed: int = 1) -> np.ndarray:
    """Plucked major chords with overtones, two a second."""
    random, times = np.random.default_rng(seed), np.arange(RATE_HZ // 2) / RATE_HZ
    notes = [(chord * overtone, overtone**-1.5) for chord in (1, 1.25, 1.5, 2) for overtone in range(1, 6)]
    chords = []
    for _ in range(round(2 * duration_s)):
        root_hz, decay = 220 * 2 ** (random.integers(12) / 12), random.uniform(2, 6)
        sound = sum(loudness * np.sin(2 * np.pi * root_hz * ratio * times) for ratio, loudness in notes)
        chords.append(sound * np.exp(-decay * times) * np.minimum(1, 100 * times))
    return evenly(np.concatenate(chords))


def drums(duration_s: float) -> np.ndarray:
    """Kick, snare and hi-hat, at 120 beats a minute."""
    random = np.random.default_rng(7)
    times = np.arange(RATE_HZ // 4) / RATE_HZ
    kick = np.sin(2 * np.pi * 30 * np.exp(-12 * times) / -12 * 10) * np.exp(-9 * times)
    snare = (random.standard_normal(len(times)) + np.sin(2 * np.pi * 190 * times)) * np.exp(-18 * times)
    hat = np.diff(random.standard_normal(len(times) + 1)) * np.exp(-60 * times)
    beat = np.concatenate([2 * kick + hat, hat, 1.2 * snare + hat, hat])
    return evenly(np.resize(beat, round(duration_s * RATE_HZ)))


def band(duration_s: float) -> np.ndarray:
    """The chords with a bass and drums."""
    bass = np.sin(2 * np.pi * 55 * np.arange(round(duration_s * RATE_HZ)) / RATE_HZ)
    return evenly(music(duration_s) + 0.5 * bass + 1.5 * drums(duration_s))


def evenly(samples: np.ndarray) -> np.ndarray:
    return samples / np.sqrt(np.mean(samples**2))


def at(dbfs: float, samples: np.ndarray) -> np.ndarray:
    return samples * 10 ** (dbfs / 20)


@pytest.fixture
def utterance(speech_wav: bytes) -> np.ndarray:
    """The sample's words without the silence around them; loudness 1."""
    samples = np.frombuffer(WavAudio.from_wav(speech_wav).pcm, "<i2") / 32_768
    [loud] = np.nonzero(np.abs(samples) > 0.01)
    return evenly(samples[loud[0] : loud[-1] + 1])


def placed(utterance: np.ndarray, starts_s: list[float], duration_s: float, dbfs: float = -20) -> np.ndarray:
    source = silence(duration_s)
    for start_s in starts_s:
        start = round(start_s * RATE_HZ)
        source[start : start + len(utterance)] += at(dbfs, utterance)
    return source


def limits(prepared: Any) -> list[tuple[float, float]]:
    return [(segment.start_s, segment.end_s) for segment in prepared.segments]


def holds(prepared: Any, start_s: float, end_s: float) -> bool:
    return any(start <= start_s and end_s <= end for start, end in limits(prepared))


@pytest.mark.parametrize("duration_s", [5, 40])
@pytest.mark.parametrize(
    ("name", "make", "dbfs"),
    [
        ("silence", silence, 0),
        *(("white noise", white, dbfs) for dbfs in (-10, -30, -60)),
        *(("pink noise", pink, dbfs) for dbfs in (-10, -30, -60)),
        *(("a tone", tone, dbfs) for dbfs in (-10, -30, -60)),
        *(("music", music, dbfs) for dbfs in (-15, -35, -60)),
        *(("a band", band, dbfs) for dbfs in (-15, -35, -60)),
        *(("drums", drums, dbfs) for dbfs in (-15, -35)),
    ],
)
async def test_sound_without_speech_gives_no_segment(prepare: Prepare, name: str, make, dbfs: float, duration_s: int):
    prepared = await prepare(wav(at(dbfs, make(duration_s))), ON)

    assert (prepared.segments, prepared.speech_s) == ([], 0.0)
    assert prepared.duration_s == duration_s


async def test_a_long_silence_is_answered_with_progress(http: Http, url: str):
    async with http.streams.post(f"{url}/v1/prepare", data=io.BytesIO(wav(silence(100.0)))) as answer:
        events = [json.loads(line) async for line in answer.content]

    assert [event["type"] for event in events] == ["source", "progress", "progress", "progress", "end"]


@pytest.mark.parametrize("dbfs", [-10, -20, -45, -60])
async def test_speech_is_found_however_quiet(prepare: Prepare, utterance: np.ndarray, dbfs: float):
    source = placed(utterance, [20.0], 40.0, dbfs)

    prepared = await prepare(wav(source), ON)

    assert len(prepared.segments) == 1
    assert holds(prepared, 20.0, 20.0 + len(utterance) / RATE_HZ)


@pytest.mark.parametrize("make", [white, pink, music])
@pytest.mark.parametrize("above_db", [20, 10, 5])
async def test_speech_over_noise_and_music_is_found(prepare: Prepare, utterance: np.ndarray, make, above_db: float):
    source = placed(utterance, [20.0], 40.0) + at(-20 - above_db, make(40.0))

    prepared = await prepare(wav(source), ON)

    assert len(prepared.segments) == 1
    assert holds(prepared, 20.0, 20.0 + len(utterance) / RATE_HZ)


@pytest.mark.parametrize("duration_s", [3.0, 29.0, 30.0])
async def test_a_clip_of_up_to_thirty_seconds_with_speech_is_one_untrimmed_segment(
    prepare: Prepare, utterance: np.ndarray, duration_s: float
):
    media = wav(placed(utterance, [1.0, duration_s - 2.0], duration_s))

    prepared = await prepare(media, ON)

    [segment] = prepared.segments
    assert (segment.start_s, segment.end_s) == (0.0, duration_s)
    assert segment.audio.pcm == WavAudio.from_wav(media).pcm


async def test_the_end_states_how_much_of_the_source_is_speech(prepare: Prepare, utterance: np.ndarray):
    spoken_s = len(utterance) / RATE_HZ

    for starts_s, duration_s in (([5.0], 20.0), ([5.0, 20.0, 55.0], 90.0)):
        prepared = await prepare(wav(placed(utterance, starts_s, duration_s)), ON)
        assert prepared.speech_s == pytest.approx(spoken_s * len(starts_s), rel=0.15)


async def test_ten_minutes_lose_no_utterance_and_hold_no_long_silence(prepare: Prepare, utterance: np.ndarray):
    random, spoken_s = np.random.default_rng(3), len(utterance) / RATE_HZ
    gaps_s = [g for g in itertools.islice(itertools.cycle((0.15, 0.4, 0.7, 1.2, 0.3, 1.8, 2.5, 0.2, 6.0)), 130)]
    starts_s = [s for s in itertools.accumulate(spoken_s + g for g in gaps_s) if not 200 < s < 270 and s < 590]
    source = at(-65, pink(600.0)) + sum(
        placed(utterance, [s], 600.0, random.uniform(-35, -10)) for s in starts_s
    )  # and in the silence of more than a minute:
    source[230 * RATE_HZ : 235 * RATE_HZ] += at(-25, white(5))
    source[240 * RATE_HZ : 245 * RATE_HZ] += at(-20, music(5))
    media = wav(source)
    samples = np.frombuffer(WavAudio.from_wav(media).pcm, "<i2")

    prepared = await prepare(media, ON)

    assert [s for s in starts_s if not holds(prepared, s, s + spoken_s)] == []
    assert max(segment.audio.duration_s for segment in prepared.segments) <= 30.0
    for segment in prepared.segments:
        start, end = round(segment.start_s * RATE_HZ), round(segment.end_s * RATE_HZ)
        assert segment.audio.pcm == samples[start:end].tobytes()
    ends = [0.0, *(segment.end_s for segment in prepared.segments)]
    assert all(end <= segment.start_s for end, segment in zip(ends, prepared.segments, strict=False))
    assert not any(start < 265 and end > 205 for start, end in limits(prepared))
    assert len(prepared.segments) < 45


async def test_long_speech_is_cut_in_its_last_silence_before_the_limit(prepare: Prepare, utterance: np.ndarray):
    spoken_s = len(utterance) / RATE_HZ
    starts_s = [i * (spoken_s + 0.15) + (0.8 if i > 8 else 0) for i in range(25)]

    prepared = await prepare(wav(placed(utterance, starts_s, 60.0)), ON)

    assert starts_s[8] + spoken_s < prepared.segments[0].end_s < starts_s[9]


async def test_speech_without_any_silence_is_cut_where_it_is_quietest(prepare: Prepare, utterance: np.ndarray):
    loud = np.resize(at(-10, utterance), 50 * RATE_HZ)
    quiet_s = 27.0
    loud[round(quiet_s * RATE_HZ) : round((quiet_s + 0.1) * RATE_HZ)] *= 0.001
    media = wav(loud)

    everything = await prepare(media, PrepareOptions(vad_threshold=0))
    cut_only = await prepare(media, OFF)

    assert everything.segments[0].end_s == pytest.approx(quiet_s + 0.05, abs=0.03)
    assert [(s.start_s, s.end_s, s.audio) for s in everything.segments] == [
        (s.start_s, s.end_s, s.audio) for s in cut_only.segments
    ]


async def test_a_longer_padding_keeps_more_around_the_speech(prepare: Prepare, utterance: np.ndarray):
    media = wav(placed(utterance, [20.0], 40.0))
    [none], [some] = [limits(await prepare(media, PrepareOptions(vad_prefix_padding_ms=ms))) for ms in (0, 1000)]

    assert (none[0] - some[0], some[1] - none[1]) == pytest.approx((1.0, 1.0))


@pytest.mark.parametrize("padding_ms", [0, 5000])
async def test_segments_are_as_long_as_their_times_say_with_any_padding(
    prepare: Prepare, utterance: np.ndarray, padding_ms: int
):
    source = placed(utterance, [0.1, 5.0, 15.0, 37.9], 40.0)

    prepared = await prepare(wav(source), PrepareOptions(vad_prefix_padding_ms=padding_ms))

    assert [s.end_s - s.start_s for s in prepared.segments] == pytest.approx(
        [s.audio.duration_s for s in prepared.segments]
    )
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(limits(prepared)))
    assert limits(prepared)[-1][1] <= 40.0


async def test_a_longer_silence_duration_keeps_together_what_is_farther_apart(prepare: Prepare, utterance: np.ndarray):
    media = wav(placed(utterance, [10.0, 15.0], 40.0))
    lengths = [len((await prepare(media, PrepareOptions(vad_silence_duration_ms=ms))).segments) for ms in (500, 4000)]

    assert lengths == [2, 1]


async def test_a_higher_threshold_takes_less_for_speech(prepare: Prepare, utterance: np.ndarray):
    media = wav(placed(utterance, [10.0, 15.0], 40.0) + at(-18, pink(40.0)))
    spoken_s = [(await prepare(media, PrepareOptions(vad_threshold=t))).speech_s for t in (0.1, 0.5, 0.999, 1)]

    assert spoken_s == sorted(spoken_s, reverse=True)
    assert spoken_s[0] > spoken_s[1] > spoken_s[2]
    assert spoken_s[3] == 0.0


async def test_without_detection_silence_is_segments_too_and_nothing_is_judged(prepare: Prepare):
    prepared = await prepare(wav(silence(40.0)), OFF)

    assert sum(segment.audio.duration_s for segment in prepared.segments) == 40.0
    assert prepared.speech_s is None


async def test_the_same_sound_gives_the_same_segments_in_any_container_and_every_time(
    prepare: Prepare, encode, utterance: np.ndarray
):
    starts_s = [3.0, 10.0, 31.0, 60.0]
    media = wav(placed(utterance, starts_s, 75.0) + at(-50, pink(75.0)))
    samples = np.frombuffer(WavAudio.from_wav(media).pcm, "<i2")
    lossless = encode("flac", "flac", RATE_HZ, sound=samples.astype(np.float32) / 32_768)

    first, again, other = await prepare(media, ON), await prepare(media, ON), await prepare(lossless, ON)

    assert first.segments == again.segments == other.segments
    assert len(first.segments) >= 3


@pytest.mark.parametrize("piece", [502, 32_768, 1_000_000, 10_000_000])
@pytest.mark.parametrize("duration_s", [25.0, 75.0])
def test_the_pieces_in_which_audio_comes_change_nothing(utterance: np.ndarray, piece: int, duration_s: float):
    model = SpeechModel.load()
    source = placed(utterance, [3.0, 6.0, 10.0, duration_s - 2.5], duration_s) + at(-50, pink(duration_s))
    pcm = WavAudio.from_wav(wav(source)).pcm

    def segments(piece: int) -> list[Any]:
        segmenter = SpeechSegmenter(model, ON)
        found = [s for i in range(0, len(pcm), piece) for s in segmenter.feed(pcm[i : i + piece])]
        return [*found, *segmenter.finish(), segmenter.speech_s]

    assert segments(piece) == segments(32_000)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("vad_threshold", "1.1"),
        ("vad_threshold", "-0.1"),
        ("vad_threshold", "nan"),
        ("vad_threshold", "loud"),
        ("vad_prefix_padding_ms", "-1"),
        ("vad_prefix_padding_ms", "5001"),
        ("vad_silence_duration_ms", "10001"),
        ("vad_silence_duration_ms", "0.5"),
        ("speech_detection", "maybe"),
        ("vad_treshold", "0.5"),
    ],
)
async def test_a_bad_parameter_is_400_and_is_named_before_the_body_has_come(
    http: Http, url: str, name: str, value: str
):
    async def begun() -> AsyncIterator[bytes]:
        yield bytes(1000)
        await asyncio.Event().wait()

    async with http.streams.post(
        f"{url}/v1/prepare", params={name: value}, headers={"content-length": "5000000"}, data=begun()
    ) as answer:
        assert answer.status == 400
        error = (await answer.json())["error"]

    assert (error["param"], error["type"]) == (name, "invalid_request_error")
    assert name in error["message"]

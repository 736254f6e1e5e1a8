"""Subtitles of people's speech keep their rules: Whisper's word times, through all services.

With `--log-cli-level INFO`, the log shows how many cues break which rule, with the rules and without.
"""

import logging
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from rapl_bench.real.models import BASE, TINY_EN
from rapl_bench.real.recordings import RealRecording, RealRecordings, joined
from rapl_protocol.audio import WavAudio
from real_fleet import LIMIT_S, REPLICAS, RealFleet
from subtitle_checker import ShownCue, broken_rules, cues_in, reason

pytestmark = pytest.mark.real
log = logging.getLogger("rapl")

CLIPS = 12
MOST_BROKEN = 0.01
"""Share of the cues that may break a rule."""
Audio = tuple[str, bytes, str]
"""A name, a WAV, and the model."""


def subtitles(fleet: RealFleet, audio: Audio, **fields: str) -> list[ShownCue]:
    _, wav, model = audio
    answer = httpx.post(
        f"{fleet.url}/v1/audio/transcriptions",
        data={"model": model, "response_format": "srt", **fields},
        files={"file": wav},
        timeout=LIMIT_S,
    )
    assert answer.status_code == 200, answer.text
    return cues_in(answer.text)


def all_subtitles(fleet: RealFleet, audio: Sequence[Audio], **fields: str) -> list[list[ShownCue]]:
    with ThreadPoolExecutor(REPLICAS) as pool:
        return list(pool.map(lambda each: subtitles(fleet, each, **fields), audio))


def model_of(recording: RealRecording) -> str:
    return TINY_EN if recording.language == "en" else BASE


@pytest.fixture(scope="module")
def long_audio(recordings: RealRecordings) -> list[Audio]:
    """A page of a novel, and prompts in two languages that are joined with short pauses."""
    [page] = [each for each in recordings.moonshine() if each.name == "two_cities"]
    found = [("two_cities", page.wav(), TINY_EN)]
    for language, model in (("en", TINY_EN), ("fr", BASE)):
        prompts = [each for each in recordings.prompts(language) if each.duration_s > 2]
        chosen = random.Random(26).sample(prompts, 14)
        found.append((f"prompts-{language}", joined(chosen, (0.2, 0.9), seed=26).wav(), model))
    return found


@pytest.fixture(scope="module")
def short_audio(recordings: RealRecordings) -> list[Audio]:
    clips = sorted(recordings.clips(), key=lambda clip: -len(clip.pcm()))[:CLIPS]
    return [(clip.name, clip.wav(), model_of(clip)) for clip in clips]


def table(name: str, found: Iterable[list[ShownCue]]) -> str:
    cues = list(found)
    counts = Counter(broken.rule for each in cues for broken in broken_rules(each))
    return f"{name}: {sum(map(len, cues))} cues of {len(cues)} recordings; broken: {dict(counts)}"


def test_every_cue_keeps_every_rule_save_one_in_a_hundred_with_a_reason(fleet, long_audio, short_audio):
    audio = [*long_audio, *short_audio]
    found = all_subtitles(fleet, audio)
    log.info(table("with rules", found))

    assert len([cues for cues in found if cues]) > CLIPS
    broken_cues = 0
    for (name, wav, _), cues in zip(audio, found, strict=True):
        broken = list(broken_rules(cues))
        duration_s = WavAudio.from_wav(wav).duration_s
        assert [each for each in broken if reason(cues, each, duration_s) is None] == [], name
        broken_cues += len({each.cue for each in broken})
    assert broken_cues <= max(1, MOST_BROKEN * sum(map(len, found)))


def test_whispers_own_segments_break_the_rules(fleet, long_audio):
    page = long_audio[0]
    found = subtitles(fleet, page, subtitle_rules="off")
    log.info(table("without rules", [found]))

    assert len(list(broken_rules(found))) > 5

"""Transcripts of people's speech: Whisper's published weights, through all services.

The bounds are above what was measured, but so close to it that a lost sentence breaks them.
"""

import random

import pytest
from rapl_bench.real.error_rate import Errors, errors, total
from rapl_bench.real.models import BASE, TINY_EN
from rapl_bench.real.recordings import RealRecording, RealRecordings, joined

pytestmark = pytest.mark.real

PROMPTS = 20
MONKEYS = "tt-monkeys"
"""Screams that the speech detector takes for 0.8 s of speech. Whisper tries all of its temperatures, twice, which takes
half a minute; `./rapl bench real` has them."""


def drawn(recordings: RealRecordings, count: int, min_words: int) -> list[RealRecording]:
    """English prompts, always the same ones."""
    prompts = [each for each in recordings.prompts("en") if len((each.reference or "").split()) >= min_words]
    return random.Random(18).sample(prompts, count)


def word_errors(recording: RealRecording, text: str) -> Errors:
    return errors(recording.reference or "", text, recording.language)


def test_a_famous_sentence_is_transcribed_word_for_word(fleet, recordings):
    clip = recordings.by_name("en-jfk") or recordings.moonshine()[0]

    answer = fleet.transcribe(clip.file.read_bytes(), TINY_EN)

    assert word_errors(clip, answer["text"]).count == 0
    assert answer["language"] == "english"
    assert answer["coverage"] == 1.0
    assert "problems" not in answer
    assert answer["segments"][-1]["end"] == pytest.approx(answer["duration"], abs=1.5)


def test_a_sentence_in_each_language_is_understood_without_naming_the_language(fleet, recordings):
    longest: dict[str | None, RealRecording] = {}
    for clip in sorted(recordings.clips(), key=lambda clip: len(clip.pcm())):
        if clip.reference and clip.language != "en":
            longest[clip.language] = clip
    clips = list(longest.values())

    answers = fleet.transcribe_all(clips, BASE)

    wrong = {
        f"{clip.source} {clip.name}": errors(clip.reference or "", answer["text"], clip.language, by_character=True)
        for clip, answer in zip(clips, answers, strict=True)
    }
    assert max(each.rate for each in wrong.values()) < 0.5, wrong
    assert total(wrong.values()).rate < 0.18, wrong


def test_sounds_without_speech_give_no_word(fleet, recordings):
    sounds = [sound for sound in recordings.sounds() if sound.name != MONKEYS]

    answers = fleet.transcribe_all(sounds, TINY_EN)

    assert {sound.name: answer["text"] for sound, answer in zip(sounds, answers, strict=True)} == {
        sound.name: "" for sound in sounds
    }


def test_prompts_of_a_telephone_system_are_understood(fleet, recordings):
    prompts = drawn(recordings, PROMPTS, min_words=3)

    answers = fleet.transcribe_all(prompts, TINY_EN)

    wrong = {prompt.name: word_errors(prompt, answer["text"]) for prompt, answer in zip(prompts, answers, strict=True)}
    assert total(wrong.values()).rate < 0.10, wrong


def test_prompts_that_are_joined_with_pauses_keep_all_their_words(fleet, recordings):
    recording = joined(drawn(recordings, PROMPTS, min_words=5), pauses_s=(0.4, 2.5), seed=18)

    answer = fleet.transcribe(recording.wav(), TINY_EN)

    assert errors(recording.reference, answer["text"], "en").rate < 0.06
    assert answer["coverage"] > 0.97
    assert "problems" not in answer


def test_a_page_of_a_novel_is_transcribed(fleet, recordings):
    [page] = [each for each in recordings.moonshine() if each.name == "two_cities"]

    answer = fleet.transcribe(page.file.read_bytes(), TINY_EN)

    assert word_errors(page, answer["text"]).rate < 0.06
    assert answer["coverage"] > 0.97
    assert "problems" not in answer

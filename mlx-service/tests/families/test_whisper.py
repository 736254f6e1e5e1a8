"""Whisper: its arguments, and the times of its segments and words."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
from rapl_mlx.families.whisper import Whisper
from rapl_protocol.transcript import Segment, TranscribeOptions, Word

DURATION_S = 3.0
FAMILY = Whisper(("en", "de"))


def options(**given: Any) -> TranscribeOptions:
    return TranscribeOptions(model="a/b", **given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"verbose": None, "word_timestamps": False}),
        ({"translate": True}, {"verbose": None, "word_timestamps": False, "task": "translate"}),
        (
            {"language": "de", "prompt": "Käse", "temperature": 0.4, "word_timestamps": True},
            {
                "verbose": None,
                "word_timestamps": True,
                "language": "de",
                "initial_prompt": "Käse",
                "temperature": 0.4,
            },
        ),
    ],
)
def test_it_is_called_with_the_options_under_its_own_names(given: dict[str, Any], expected: dict[str, Any]):
    assert FAMILY.arguments(options(**given), DURATION_S) == expected


def test_it_declares_that_a_temperature_has_an_effect():
    assert FAMILY.capabilities.temperature


def test_the_times_of_segments_are_within_the_audio():
    segments = [
        {"start": 0.0, "end": 1.5, "text": " eins", "avg_logprob": math.nan},
        {"start": 1.5, "end": 30.0, "text": " zwei", "avg_logprob": -0.2},
        {"start": 2.0, "end": 2.0, "text": ""},
    ]
    transcript = FAMILY.transcript(
        SimpleNamespace(text=" eins zwei", language="de", segments=segments), options(), DURATION_S
    )

    assert transcript.segments == (
        Segment(start_s=0.0, end_s=1.5, text="eins", language="de"),
        Segment(start_s=1.5, end_s=3.0, text="zwei", language="de"),
    )


def test_words_have_their_times():
    words = [{"word": " eins", "start": 0.1, "end": 0.4, "probability": 0.9}]
    result = SimpleNamespace(
        text="eins", language="de", segments=[{"start": 0, "end": 1, "text": "eins", "words": words}]
    )
    [segment] = FAMILY.transcript(result, options(word_timestamps=True), DURATION_S).segments

    assert segment.words == (Word(word="eins", start_s=0.1, end_s=0.4),)


@pytest.mark.parametrize("bad", [math.nan, None, "soon", 0.0])
def test_text_with_invalid_times_is_kept_in_one_segment(bad: object):
    segments = [{"start": 0.0, "end": 1.0, "text": "one"}, {"start": 1.0, "end": bad, "text": "two"}]
    result = SimpleNamespace(text="one two", language="en", segments=segments)

    transcript = FAMILY.transcript(result, options(), DURATION_S)

    assert [(s.start_s, s.end_s, s.text) for s in transcript.segments] == [(0.0, DURATION_S, "one two")]

"""Transcripts of results with any times: properties that must hold for every family that uses a model's times."""

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rapl_mlx.families import Family
from rapl_mlx.families.generic import GenericFamily
from rapl_mlx.families.parakeet import Parakeet
from rapl_mlx.families.traits import TRAITS
from rapl_mlx.families.whisper import Whisper
from rapl_protocol.intervals import Intervals
from rapl_protocol.transcript import TranscribeOptions, Transcript

OPTIONS = TranscribeOptions(model="a/b", word_timestamps=True)

durations = st.floats(0, 40)
times = st.one_of(
    st.floats(-5, 45),  # plausible, negative and beyond the end
    st.floats(),  # NaN and infinity too
    st.none(),
    st.integers(),
    st.just(10**400),  # too large for a float
    st.sampled_from(["", "soon", "nan", "1.5"]),
)
texts = st.text(max_size=6) | st.sampled_from([" one", "two ", "  ", "[", "{"])
words = st.fixed_dictionaries({"word": texts, "start": times, "end": times})
segments = st.lists(
    st.fixed_dictionaries(
        {"text": texts, "start": times, "end": times}, optional={"words": st.lists(words, max_size=4)}
    ),
    max_size=5,
)


def as_segments(text: str, segments: list[dict[str, Any]]) -> SimpleNamespace:
    return SimpleNamespace(text=text, language="en", segments=segments)


def as_sentences(text: str, segments: list[dict[str, Any]]) -> SimpleNamespace:
    return SimpleNamespace(text=text, sentences=[_sentence(segment) for segment in segments])


def _sentence(segment: dict[str, Any]) -> SimpleNamespace:
    tokens = [SimpleNamespace(text=w["word"], start=w["start"], end=w["end"]) for w in segment.get("words", ())]
    return SimpleNamespace(text=segment["text"], start=segment["start"], end=segment["end"], tokens=tokens)


@pytest.mark.parametrize(
    ("family", "result_of"),
    [
        (Whisper(("en",)), as_segments),
        (Parakeet(), as_sentences),
        (GenericFamily(TRAITS["vibevoice_asr"]), as_segments),
        (GenericFamily(TRAITS["nemotron_asr"]), as_sentences),
    ],
    ids=["whisper", "parakeet", "vibevoice_asr", "nemotron_asr"],
)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(segments=segments, duration_s=durations, other_text=st.none() | texts)
@example([{"text": "two", "start": 1.0, "end": 2.0}, {"text": "one", "start": 0.0, "end": 1.0}], 3.0, None)
@example([{"text": "one", "start": 0.0, "end": 10**400}], 3.0, None)
def test_times_are_valid_in_order_and_within_the_audio_whatever_the_model_returns(
    family: Family, result_of: Any, segments: list[dict[str, Any]], duration_s: float, other_text: str | None
):
    text = " ".join(segment["text"] for segment in segments) if other_text is None else other_text
    transcript = family.transcript(result_of(text, segments), OPTIONS, duration_s)

    assert_valid_times(transcript.segments, duration_s)
    for segment in transcript.segments:
        assert segment.text.strip()
        assert segment.words is None or segment.words
        assert_valid_times(segment.words or (), duration_s)
    assert bool(transcript.segments) == bool(transcript.text)
    assert letters(transcript.text) <= sum(letters(segment.text) for segment in transcript.segments)
    assert_is_a_set(transcript.text_spans or (), duration_s)
    assert Transcript.model_validate_json(transcript.model_dump_json()) == transcript


def assert_valid_times(items: Any, duration_s: float) -> None:
    assert all(0 <= item.start_s <= item.end_s <= duration_s for item in items)
    assert all(first.start_s <= second.start_s for first, second in pairwise(items))


def assert_is_a_set(spans: Intervals, duration_s: float) -> None:
    assert all(0 <= span.start_s < span.end_s <= duration_s for span in spans)
    assert all(first.end_s < second.start_s for first, second in pairwise(spans))


def letters(text: str) -> int:
    return sum(not character.isspace() for character in text)

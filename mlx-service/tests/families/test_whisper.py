"""Whisper: its arguments, the best of its attempts, the times of its segments and words, and how it decoded them."""

import json
import math
import subprocess
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rapl_mlx.families.results import Cancelled, ResultListener
from rapl_mlx.families.whisper import TEMPERATURES, Whisper
from rapl_protocol.intervals import Interval
from rapl_protocol.transcript import Decoding, Segment, TranscribeOptions, Transcript, Word

HERE = Path(__file__).parent
DURATION_S = 3.0
FAMILY = Whisper(("en", "de"))
LADDER = {"temperature": TEMPERATURES}


def options(**given: Any) -> TranscribeOptions:
    return TranscribeOptions(model="a/b", **given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"verbose": None, "word_timestamps": False, **LADDER}),
        ({"temperature": 0.0}, {"verbose": None, "word_timestamps": False, **LADDER}),
        ({"translate": True}, {"verbose": None, "word_timestamps": False, "task": "translate", **LADDER}),
        (
            {"language": "de", "prompt": "Käse", "temperature": 0.4, "word_timestamps": True},
            {
                "verbose": None,
                "word_timestamps": True,
                "language": "de",
                "initial_prompt": "Käse",
                "temperature": (0.4,),
            },
        ),
    ],
)
def test_it_is_called_with_the_options_under_its_own_names(given: dict[str, Any], expected: dict[str, Any]):
    assert FAMILY.arguments(options(**given), DURATION_S) == expected


def test_it_declares_that_a_temperature_has_an_effect():
    assert FAMILY.capabilities.temperature


@dataclass(frozen=True)
class Attempt:
    """A result of `decode`, with the names of mlx-audio's DecodingResult."""

    tokens: list[int]
    avg_logprob: float
    compression_ratio: float = 1.0
    temperature: float = 0.0
    audio_features: str = "encoded"


@dataclass(frozen=True)
class Options:
    """The options of `decode` that matter here, with the names of mlx-audio's DecodingOptions."""

    temperature: float
    prompt: list[int]


class FakeWhisper:
    """A fake model: `decode` gives the attempts that a test names, and `generate` calls it as mlx-audio does.

    Args:
        windows: for each window of the audio, the attempts in the order in which they are made.
    """

    def __init__(self, *windows: list[Attempt]) -> None:
        self.decoded: list[tuple[str, Options]] = []
        self.windows = windows
        self.attempts = chain.from_iterable(windows)

    def generate(self, audio: str, *, temperature: tuple[float, ...], **others: Any) -> SimpleNamespace:
        tokens: list[int] = []
        prompt_start, kept = 0, []
        for number, _ in enumerate(self.windows):
            for each in temperature:
                result = self.decode(f"window {number}", Options(each, tokens[prompt_start:]))
                if result.compression_ratio <= 2.4 and not result.avg_logprob < -1.0:
                    break
            tokens += result.tokens
            kept.append(result)
            if result.temperature > 0.5:
                prompt_start = len(tokens)
        return SimpleNamespace(kept=kept)

    def decode(self, mel: str, options: Options) -> Attempt:
        self.decoded.append((mel, options))
        return replace(next(self.attempts), temperature=options.temperature)


def attempts_of(*avg_logprobs: float, compression_ratio: float = 1.0) -> list[Attempt]:
    return [Attempt([number], each, compression_ratio) for number, each in enumerate(avg_logprobs)]


def kept_by(model: FakeWhisper, **given: Any) -> list[Attempt]:
    return FAMILY.generate(model, "audio.wav", FAMILY.arguments(options(**given), DURATION_S), ResultListener()).kept


REPETITIVE = attempts_of(-0.1, compression_ratio=9.0)


@pytest.mark.parametrize(
    ("attempts", "temperature"),
    [
        (attempts_of(-0.5), 0.0),
        (attempts_of(-1.5, -0.9), 0.2),
        (attempts_of(-1.5, -1.2, -3.0, -4.0, -5.0, -6.0), 0.2),
        (attempts_of(-1.5, -1.6, -3.0, -4.0, -5.0, -0.9), 1.0),
        (REPETITIVE + attempts_of(-4.0, -3.0, -4.0, -5.0, -6.0), 0.4),
        (REPETITIVE + attempts_of(-0.2, -0.1, -0.2, -0.3, -0.4, compression_ratio=3.0)[:5], 0.0),
        (REPETITIVE + attempts_of(-2.0, -3.0, -4.0, -5.0) + attempts_of(-0.1, compression_ratio=9.0), 0.2),
    ],
)
def test_of_failed_attempts_the_most_probable_one_is_kept_that_is_not_too_repetitive(
    attempts: list[Attempt], temperature: float
):
    model = FakeWhisper(attempts)

    assert [each.temperature for each in kept_by(model)] == [temperature]
    assert len(model.decoded) == len(attempts)


def test_an_attempt_whose_probability_is_not_a_number_is_the_worst():
    model = FakeWhisper([*attempts_of(-8.0, -9.0, -9.0, -9.0, -9.0), *attempts_of(math.nan)])

    assert [each.avg_logprob for each in kept_by(model)] == [-8.0]


def test_each_window_has_attempts_of_its_own():
    model = FakeWhisper(attempts_of(-1.5, -0.5), attempts_of(-2.0, -3.0, -3.0, -3.0, -3.0, -4.0), attempts_of(-0.7))

    assert [(each.temperature, each.avg_logprob) for each in kept_by(model)] == [(0.2, -0.5), (0.0, -2.0), (0.0, -0.7)]


def test_a_window_is_encoded_once_for_all_of_its_attempts():
    model = FakeWhisper(attempts_of(-1.5, -1.4, -0.5), attempts_of(-0.5))
    kept_by(model)

    assert [mel for mel, _ in model.decoded] == ["window 0", "encoded", "encoded", "window 1"]


def test_the_text_of_a_window_is_context_of_the_next_unless_all_attempts_failed():
    failed = attempts_of(-2.0, -3.0, -3.0, -3.0, -3.0, -4.0)
    model = FakeWhisper([Attempt([1], -0.5)], failed, [Attempt([3], -0.5)], [Attempt([4], -0.5)])
    kept_by(model)

    first_attempts = [options for _, options in model.decoded if options.temperature == 0]
    assert [options.prompt for options in first_attempts] == [[], [1], [], [3]]


def test_a_temperature_above_0_is_used_alone():
    model = FakeWhisper(attempts_of(-9.0), attempts_of(-8.0))

    assert [(each.temperature, each.avg_logprob) for each in kept_by(model, temperature=0.4)] == [
        (0.4, -9.0),
        (0.4, -8.0),
    ]


def test_a_cancelled_request_ends_before_the_next_attempt():
    model = FakeWhisper(attempts_of(-2.0, -3.0, -0.5))
    listener = ResultListener(is_cancelled=lambda: len(model.decoded) == 2)
    with pytest.raises(Cancelled):
        FAMILY.generate(model, "audio.wav", FAMILY.arguments(options(), DURATION_S), listener)

    assert len(model.decoded) == 2


class TokenByToken(FakeWhisper):
    """Its `decode` calls its decoder for each token, as mlx-audio's does."""

    tokens = 0

    def decoder(self, tokens: Any, audio_features: Any, kv_cache: Any) -> tuple[Any, Any, Any]:
        self.tokens += 1
        return tokens, kv_cache, None

    def decode(self, mel: str, options: Options) -> Attempt:
        for _ in range(20):
            self.decoder("token", mel, kv_cache=[])
        return super().decode(mel, options)


def test_a_cancelled_request_ends_before_the_next_token():
    model = TokenByToken(attempts_of(-0.5))
    listener = ResultListener(is_cancelled=lambda: model.tokens == 7)
    with pytest.raises(Cancelled):
        FAMILY.generate(model, "audio.wav", FAMILY.arguments(options(), DURATION_S), listener)

    assert model.tokens == 7


def test_in_the_real_mlx_audio_the_best_attempt_is_kept_if_all_fail(mlx_python: str):
    program = [mlx_python, HERE / "decode_silence.py"]
    result = json.loads(subprocess.run(program, check=True, timeout=120, capture_output=True).stdout)
    best = max(result["attempts"], key=lambda attempt: attempt[1])

    assert tuple(temperature for temperature, _ in result["attempts"]) == TEMPERATURES
    assert best != result["attempts"][-1]
    assert result["segments"] == [best]


MEASURED = {
    "seek": 0,
    "tokens": [50364, 1056, 50439],
    "temperature": 0.2,
    "avg_logprob": -0.4142135,
    "compression_ratio": 0.81234,
    "no_speech_prob": 1.5e-05,
}


@pytest.mark.parametrize("translate", [False, True])
def test_a_segment_has_the_text_and_the_numbers_of_its_decoding_unchanged(translate: bool):
    raw = {"id": 0, "start": 0.0, "end": 1.5, "text": " eins", **MEASURED}
    result = SimpleNamespace(text=" eins", language="de", segments=[raw])
    transcript = FAMILY.transcript(result, options(translate=translate), DURATION_S)
    [segment] = Transcript.model_validate_json(transcript.model_dump_json()).segments

    assert segment.decoding
    assert segment.decoding.model_dump(mode="json") == MEASURED
    assert (transcript.text, segment.text) == ("eins", " eins")
    assert set(FAMILY.capabilities.decoding) == MEASURED.keys()


@pytest.mark.parametrize("bad", [math.nan, -math.inf, None])
def test_a_number_that_is_not_finite_is_left_out(bad: float | None):
    raw = {"start": 0.0, "end": 1.5, "text": " eins", **MEASURED, "avg_logprob": bad}
    [segment] = FAMILY.transcript(
        SimpleNamespace(text=" eins", language="de", segments=[raw]), options(), DURATION_S
    ).segments

    assert segment.decoding == Decoding.model_validate({**MEASURED, "avg_logprob": None})


def test_the_times_of_segments_are_within_the_audio():
    segments = [
        {"start": 0.0, "end": 1.5, "text": " eins"},
        {"start": 2.0, "end": 30.0, "text": " zwei"},
        {"start": 2.5, "end": 2.5, "text": ""},
    ]
    transcript = FAMILY.transcript(
        SimpleNamespace(text=" eins zwei", language="de", segments=segments), options(), DURATION_S
    )

    assert transcript.segments == (
        Segment(start_s=0.0, end_s=1.5, text=" eins", language="de", decoding=Decoding()),
        Segment(start_s=2.0, end_s=3.0, text=" zwei", language="de", decoding=Decoding()),
    )
    assert transcript.text_spans == (Interval(0.0, 1.5), Interval(2.0, 3.0))


@pytest.mark.parametrize("times", [(DURATION_S, 29.0), (20.0, 29.0), (20.0, 10.0), (20.0, math.nan)])
def test_a_segment_past_the_end_of_the_audio_is_left_out_with_its_text_and_the_others_keep_their_times(
    times: tuple[float, float],
):
    segments = [
        {"start": 0.0, "end": 1.5, "text": " eins"},
        {"start": 1.5, "end": 2.0, "text": " zwei"},
        {"start": times[0], "end": times[1], "text": " Untertitel"},
    ]
    result = SimpleNamespace(text=" eins zwei Untertitel", language="de", segments=segments)
    transcript = FAMILY.transcript(result, options(), DURATION_S)

    assert transcript.text == "eins zwei"
    assert [(s.start_s, s.end_s, s.text) for s in transcript.segments] == [(0.0, 1.5, " eins"), (1.5, 2.0, " zwei")]
    assert transcript.text_spans == (Interval(0.0, 2.0),)


def test_if_all_text_is_past_the_end_of_the_audio_there_is_none():
    segments = [{"start": 5.0, "end": 29.0, "text": " Untertitel"}]
    transcript = FAMILY.transcript(
        SimpleNamespace(text=" Untertitel", language="de", segments=segments), options(), DURATION_S
    )

    assert transcript == Transcript(text="", duration_s=DURATION_S, text_spans=())


def test_words_have_their_times():
    words = [{"word": " eins", "start": 0.1, "end": 0.4, "probability": 0.9}]
    result = SimpleNamespace(
        text="eins", language="de", segments=[{"start": 0, "end": 1, "text": "eins", "words": words}]
    )
    transcript = FAMILY.transcript(result, options(word_timestamps=True), DURATION_S)

    assert transcript.segments[0].words == (Word(word="eins", start_s=0.1, end_s=0.4),)
    assert transcript.text_spans == (Interval(0.1, 0.4),)


@pytest.mark.parametrize("bad", [math.nan, None, "soon", 0.0])
def test_text_with_invalid_times_is_kept_in_one_segment(bad: object):
    segments = [{"start": 0.0, "end": 1.0, "text": "one"}, {"start": 1.0, "end": bad, "text": "two"}]
    result = SimpleNamespace(text="one two", language="en", segments=segments)

    transcript = FAMILY.transcript(result, options(), DURATION_S)

    assert [(s.start_s, s.end_s, s.text) for s in transcript.segments] == [(0.0, DURATION_S, "one two")]
    assert transcript.text_spans is None


class DetectingWhisper(FakeWhisper):
    """A fake model that detects the language as mlx-audio does: through two methods of the model."""

    def generate(self, audio: str, *, language: str | None = None, **others: Any) -> SimpleNamespace:
        return SimpleNamespace(language=self._detect_language("mel", language), others=others)

    def _detect_language(self, mel: str, language: str | None = None) -> str:
        if language is not None:
            return language
        _, probabilities = self.detect_language(mel)
        return max(probabilities, key=probabilities.__getitem__)

    def detect_language(self, mel: str) -> tuple[str, dict[str, float]]:
        return "tokens", {"en": 0.6, "zh": 0.1, "ja": 0.3}


@pytest.mark.parametrize(
    ("given", "detected"),
    [
        ({}, "en"),
        ({"languages": ("zh", "ja")}, "ja"),
        ({"languages": ("en", "zh")}, "en"),
        ({"language": "zh", "languages": ()}, "zh"),
    ],
)
def test_the_most_probable_of_the_listed_languages_is_detected(given: dict[str, Any], detected: str):
    arguments = FAMILY.arguments(options(**given), DURATION_S)
    result = FAMILY.generate(DetectingWhisper(), "audio.wav", arguments, ResultListener())

    assert result.language == detected
    assert "languages" not in result.others

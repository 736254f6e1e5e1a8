"""Families that a row of traits describes, and families that only their signature describes."""

import inspect
import math
from types import SimpleNamespace
from typing import Any

import pytest
from rapl_mlx.families import family_name
from rapl_mlx.families.generic import GenericFamily
from rapl_mlx.families.results import Cancelled, ResultListener, max_tokens_for
from rapl_mlx.families.traits import TRAITS, traits_from_signature
from rapl_protocol.transcript import TranscribeOptions

DURATION_S = 3.0
TOKENS = max_tokens_for(DURATION_S)
WHOLE_AUDIO = [(0.0, DURATION_S)]
PLAIN_LLM = "*, max_tokens=128, temperature=0.0, language=None, prompt=None, verbose=False, stream=False, **kwargs"


def options(**given: Any) -> TranscribeOptions:
    return TranscribeOptions(model="a/b", **given)


def by_signature(signature: str) -> GenericFamily:
    """An adapter for an unknown family with `generate(audio, <signature>)`."""
    generate = eval(f"lambda audio, {signature}: None")
    parameters = dict(list(inspect.signature(generate).parameters.items())[1:])
    return GenericFamily(traits_from_signature(parameters))


def row(name: str, language_names: dict[str, str] | None = None) -> GenericFamily:
    return GenericFamily(TRAITS[name], language_names)


@pytest.mark.parametrize(
    ("family", "given", "expected"),
    [
        (by_signature(PLAIN_LLM), {"prompt": "x"}, {"verbose": False, "max_tokens": TOKENS}),
        (by_signature(PLAIN_LLM), {"temperature": 0.3}, {"verbose": False, "max_tokens": TOKENS, "temperature": 0.3}),
        (by_signature("beam_size=3, **kwargs"), {"language": "en", "temperature": 0.3}, {}),
        (
            row("canary"),
            {"language": "de"},
            {"verbose": False, "max_tokens": TOKENS, "source_lang": "de", "target_lang": "de"},
        ),
        (
            row("granite_speech"),
            {"language": "de", "prompt": "x"},
            {"verbose": False, "max_tokens": TOKENS, "source_language": "de"},
        ),
        (
            row("fun_asr_nano"),
            {"language": "zh", "prompt": "names"},
            {"verbose": False, "max_tokens": TOKENS, "language": "zh", "context": "names"},
        ),
        (
            row("fun_asr_nano"),
            {"prompt": "names", "keywords": ("Käse",)},
            {"verbose": False, "max_tokens": TOKENS, "hotwords": ["Käse"]},
        ),
        (row("nemotron_asr", {"de": "de-DE"}), {"language": "de"}, {"verbose": False, "language": "de-DE"}),
        (row("voxtral"), {}, {"verbose": False, "max_tokens": TOKENS, "language": None}),
    ],
)
def test_a_family_is_called_only_with_parameters_that_it_understands(
    family: GenericFamily, given: dict[str, Any], expected: dict[str, Any]
):
    assert family.arguments(options(**given), DURATION_S) == expected


@pytest.mark.parametrize(
    ("family", "languages"),
    [
        (by_signature("beam_size=3"), None),
        (by_signature(PLAIN_LLM), ()),
        (row("cohere_asr", {"en": "en", "de": "de"}), ("en", "de")),
        (row("mimo_v2_asr"), ("zh", "en")),
        (row("canary"), None),
    ],
)
def test_a_language_may_be_chosen_unless_the_meaning_of_the_parameter_is_unknown(
    family: GenericFamily, languages: tuple[str, ...] | None
):
    assert family.capabilities.languages == languages


@pytest.mark.parametrize(
    "result",
    [
        "one",
        SimpleNamespace(text="one", segments=None, language="en"),
        SimpleNamespace(text="one", segments=[{"start": 0.0, "end": 0.0, "text": "one"}]),
        SimpleNamespace(text="one", segments=[{"start": 0.5, "end": 1.0, "text": "one"}]),
        SimpleNamespace(text="one", sentences=[SimpleNamespace(text="one", start=0.5, end=1.0)]),
    ],
)
def test_the_result_of_an_unknown_family_is_read_in_any_shape_and_without_its_times(result: object):
    transcript = by_signature("verbose=False").transcript(result, options(), DURATION_S)

    assert (transcript.text, transcript.language) == ("one", None)
    assert [(s.start_s, s.end_s) for s in transcript.segments] == WHOLE_AUDIO


MARKED = "[0.10][S01]one[1.00] [1.20][S02]two[2.00]"
AS_JSON = '[{"Start":0.1,"End":1.0,"Speaker":0,"Content":"one"}]'


@pytest.mark.parametrize(
    ("family", "result", "text", "times"),
    [
        (
            "moss_transcribe_diarize",
            SimpleNamespace(
                text=MARKED,
                segments=[
                    {"start": 0.1, "end": 1.0, "text": "[S01] one", "speaker_id": "S01"},
                    {"start": 1.2, "end": 2.0, "text": "[S02] two", "speaker_id": "S02"},
                ],
            ),
            "one two",
            [(0.1, 1.0), (1.2, 2.0)],
        ),
        (
            "vibevoice_asr",
            SimpleNamespace(text=AS_JSON, segments=[{"start": 0.1, "end": 1.0, "speaker_id": 0, "text": "one"}]),
            "one",
            [(0.1, 1.0)],
        ),
        ("vibevoice_asr", SimpleNamespace(text="on e", segments=[{"start": 0, "end": 1, "text": "on"}]), "on e", None),
        # Its end is the duration of the computation.
        ("qwen2_audio", SimpleNamespace(text="one", segments=[{"start": 0.0, "end": 0.4, "text": "one"}]), "one", None),
        (
            "nemotron_asr",
            SimpleNamespace(text="one", sentences=[SimpleNamespace(text="one", start=0.5, end=1.0)]),
            "one",
            [(0.5, 1.0)],
        ),
        (
            "nemotron_asr",
            SimpleNamespace(text="one", sentences=[SimpleNamespace(text="one", start=math.nan, end=1.0)]),
            "one",
            None,
        ),
    ],
)
def test_a_transcript_has_no_speaker_or_time_marks_and_only_times_of_the_audio(
    family: str, result: object, text: str, times: list[tuple[float, float]] | None
):
    transcript = row(family).transcript(result, options(), DURATION_S)

    assert transcript.text == text
    assert [(s.start_s, s.end_s) for s in transcript.segments] == (times or WHOLE_AUDIO)


@pytest.mark.parametrize(("tokens", "is_truncated"), [(TOKENS - 1, False), (TOKENS, True)])
def test_a_text_that_reached_the_token_limit_is_truncated(tokens: int, is_truncated: bool):
    result = SimpleNamespace(text="one", segments=None, generation_tokens=tokens)

    assert row("higgs_audio_3").transcript(result, options(), DURATION_S).is_truncated is is_truncated


class StreamingModel:
    """Yields the given items, as the streaming families do."""

    def __init__(self, *items: Any) -> None:
        self.items = items
        self.yielded = 0

    def generate(self, audio: str, **arguments: Any) -> Any:
        assert arguments.pop("stream") is True
        return self._items()

    def _items(self) -> Any:
        for item in self.items:
            self.yielded += 1
            yield item


def piece(text: str, tokens: int = 0) -> SimpleNamespace:
    return SimpleNamespace(text=text, generation_tokens=tokens)


@pytest.mark.parametrize(
    "items", [(" one", " ", "two", " "), (piece(" one", 1), piece(" ", 2), piece("two", 3), piece(" ", 3))]
)
def test_a_streaming_family_sends_words_as_they_are_decoded_and_joined_they_are_the_text(items: tuple[Any, ...]):
    texts: list[str] = []
    family = row("granite_speech")
    result = family.generate(StreamingModel(*items), "x.wav", {}, ResultListener(texts.append))
    transcript = family.transcript(result, options(), DURATION_S)

    assert texts == ["one", " two"]
    assert transcript.text == "one two"


def test_a_family_that_accepts_stream_but_returns_a_whole_result_is_read():
    model = SimpleNamespace(generate=lambda audio, stream: piece("one"))

    assert row("qwen2_audio").generate(model, "x.wav", {}, ResultListener()).text == "one"


def test_decoding_stops_between_two_tokens_when_the_request_is_cancelled():
    model = StreamingModel("one", "two", "three")
    listener = ResultListener(is_cancelled=lambda: model.yielded >= 2)
    with pytest.raises(Cancelled):
        row("granite_speech").generate(model, "x.wav", {}, listener)

    assert model.yielded == 2


def test_temperature_is_declared_exactly_for_families_that_take_it():
    without = {name for name in TRAITS if not row(name).capabilities.temperature}

    ctc = {"granite_speech5_ctc", "granite_speech_nar", "mms"}
    assert without == ctc | {"cohere_asr", "fireredasr2", "nemotron_asr"}


def test_a_family_is_named_after_the_module_of_its_class():
    model = type("Model", (), {"__module__": "mlx_audio.stt.models.granite_speech.granite_speech"})()
    assert family_name(model) == "granite_speech"

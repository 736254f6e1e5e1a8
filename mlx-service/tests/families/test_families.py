"""What each family is called with and what becomes of its result: pure functions, nearly all without mlx."""

import inspect
import math
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rapl_mlx.families import Family, family_name
from rapl_mlx.families.generic import GenericFamily
from rapl_mlx.families.languages import NAME_BY_CODE, language_code
from rapl_mlx.families.parakeet import Parakeet
from rapl_mlx.families.qwen3_asr import DecodedText, Qwen3Asr
from rapl_mlx.families.results import Cancelled, ResultListener, max_tokens_for
from rapl_mlx.families.sensevoice import SenseVoice
from rapl_mlx.families.traits import TRAITS, traits_from_signature
from rapl_mlx.families.whisper import Whisper
from rapl_protocol.transcript import Segment, TranscribeOptions, Transcript, Word

DURATION_S = 3.0


def options(**given: Any) -> TranscribeOptions:
    return TranscribeOptions(model="a/b", **given)


def by_signature(signature: str) -> GenericFamily:
    """An adapter for a family that nobody knows, with `generate(audio, <signature>)`."""
    generate = eval(f"lambda audio, {signature}: None")
    parameters = dict(list(inspect.signature(generate).parameters.items())[1:])
    return GenericFamily(traits_from_signature(parameters))


def row(name: str, words: dict[str, str] | None = None) -> GenericFamily:
    return GenericFamily(TRAITS[name], words)


QWEN = Qwen3Asr(["Chinese", "English", "German"])
WHISPER = Whisper(("en", "de"))
TOKENS = max_tokens_for(DURATION_S)
PLAIN_LLM = "*, max_tokens=128, temperature=0.0, language=None, prompt=None, verbose=False, stream=False, **kwargs"


@pytest.mark.parametrize(
    ("family", "given", "expected"),
    [
        (QWEN, {}, {"max_tokens": TOKENS}),
        (QWEN, {"language": "de"}, {"max_tokens": TOKENS, "language": "German"}),
        (QWEN, {"prompt": "Käse"}, {"max_tokens": TOKENS, "system_prompt": "Käse"}),
        (QWEN, {"keywords": ("Käse",)}, {"max_tokens": TOKENS, "hotwords": ["Käse"]}),
        (WHISPER, {"translate": True}, {"verbose": None, "word_timestamps": False, "task": "translate"}),
        (QWEN, {"temperature": 0.0}, {"max_tokens": TOKENS, "temperature": 0.0}),
        (WHISPER, {}, {"verbose": None, "word_timestamps": False}),
        (
            WHISPER,
            {"language": "de", "prompt": "Käse", "temperature": 0.4, "word_timestamps": True},
            {
                "verbose": None,
                "word_timestamps": True,
                "language": "de",
                "initial_prompt": "Käse",
                "temperature": 0.4,
            },
        ),
        (Parakeet(), {"language": "en", "prompt": "x", "temperature": 0.3}, {"verbose": False}),
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
        (SenseVoice(), {}, {"verbose": False, "use_itn": True, "language": "auto"}),
    ],
)
def test_a_family_is_called_with_what_it_understands_and_no_more(
    family: Family, given: dict[str, Any], expected: dict[str, Any]
):
    assert family.arguments(options(**given), DURATION_S) == expected


@pytest.mark.parametrize(
    ("family", "languages"),
    [
        (Parakeet(), None),
        (by_signature("beam_size=3"), None),
        (by_signature(PLAIN_LLM), ()),
        (row("cohere_asr", {"en": "en", "de": "de"}), ("en", "de")),
        (row("mimo_v2_asr"), ("zh", "en")),
        (row("canary"), None),
    ],
)
def test_a_language_may_be_named_unless_a_family_takes_it_in_a_way_that_is_not_known(
    family: Family, languages: tuple[str, ...] | None
):
    assert family.capabilities.languages == languages


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ("English", "en"), (" cantonese ", "yue"), ("de", "de"),
        ("None", None), ("auto", None), ("Klingon", None), ("", None), (None, None), (7, None),
    ],
)  # fmt: skip
def test_a_language_becomes_its_code_or_nothing(named: object, code: str | None):
    assert language_code(named) == code


def test_a_model_without_a_list_of_languages_is_taken_to_know_all_of_qwen3_asrs():
    assert Qwen3Asr([]).capabilities.languages == tuple(NAME_BY_CODE)
    assert QWEN.capabilities.languages == ("zh", "en", "de")


ENGLISH = "language English<asr_text>"


@pytest.mark.parametrize("size", [1, 4, 1000])
@pytest.mark.parametrize(
    ("forced", "written", "language", "text"),
    [
        (None, f"{ENGLISH}one two", "English", "one two"),
        (None, f"{ENGLISH} one\n", "English", "one"),
        (None, "language Haitian Creole<asr_text>yon", "Haitian Creole", "yon"),
        (None, "language None<asr_text>", "None", ""),
        (None, "one two three four", None, "one two three four"),
        (None, "language is a skin", None, "language is a skin"),
        (None, "language English", None, ""),
        (None, "", None, ""),
        ("German", "eins zwei", "German", "eins zwei"),
        ("English", "language is a skin", "English", "language is a skin"),
    ],
)
def test_qwen3_asrs_prefix_is_read_and_never_taken_for_words_nor_words_for_a_prefix(
    forced: str | None, written: str, language: str | None, text: str, size: int
):
    pieces: list[str] = []
    decoded = DecodedText(forced, ResultListener(pieces.append))
    for at in range(0, len(written), size):
        decoded.add(written[at : at + size])
    decoded.finish()

    assert (decoded.language, decoded.text) == (language, text)
    assert "".join(pieces) == text


@pytest.mark.parametrize(
    ("written", "language"),
    [("language German<asr_text>eins", "de"), ("language Klingon<asr_text>x", None), ("x", None)],
)
def test_qwen3_asr_says_the_language_it_heard_in_one_segment_over_all(written: str, language: str | None):
    decoded = DecodedText()
    decoded.add(written)
    decoded.finish()
    transcript = QWEN.transcript(decoded, options(), DURATION_S)

    assert transcript.language == language
    assert [(s.start_s, s.end_s) for s in transcript.segments] == [(0.0, DURATION_S)]


def test_whispers_segments_keep_their_times_within_the_audio():
    segments = [
        {"start": 0.0, "end": 1.5, "text": " eins", "avg_logprob": math.nan},
        {"start": 1.5, "end": 30.0, "text": " zwei", "avg_logprob": -0.2},
        {"start": 2.0, "end": 2.0, "text": ""},
    ]
    transcript = WHISPER.transcript(
        SimpleNamespace(text=" eins zwei", language="de", segments=segments), options(), DURATION_S
    )

    assert transcript.segments == (
        Segment(start_s=0.0, end_s=1.5, text="eins", language="de"),
        Segment(start_s=1.5, end_s=3.0, text="zwei", language="de"),
    )


def test_whispers_words_are_given_with_their_times():
    words = [{"word": " eins", "start": 0.1, "end": 0.4, "probability": 0.9}]
    result = SimpleNamespace(
        text="eins", language="de", segments=[{"start": 0, "end": 1, "text": "eins", "words": words}]
    )
    [segment] = WHISPER.transcript(result, options(word_timestamps=True), DURATION_S).segments

    assert segment.words == (Word(word="eins", start_s=0.1, end_s=0.4),)


@pytest.mark.parametrize("bad", [math.nan, None, "soon", 0.0])
def test_text_whose_times_are_no_times_is_kept_in_one_segment(bad: object):
    segments = [{"start": 0.0, "end": 1.0, "text": "one"}, {"start": 1.0, "end": bad, "text": "two"}]
    result = SimpleNamespace(text="one two", language="en", segments=segments)

    transcript = WHISPER.transcript(result, options(), DURATION_S)

    assert [(s.start_s, s.end_s, s.text) for s in transcript.segments] == [(0.0, DURATION_S, "one two")]


def token(text: str, start: float, end: float) -> SimpleNamespace:
    return SimpleNamespace(text=text, start=start, end=end)


def test_parakeets_tokens_become_words():
    tokens = [token(" for", 0.2, 0.3), token("ty", 0.3, 0.5), token(" two", 0.6, 0.8), token(".", 0.8, 0.8)]
    sentence = SimpleNamespace(text=" forty two.", start=0.2, end=0.8, tokens=tokens)
    result = SimpleNamespace(text="forty two.", sentences=[sentence])
    transcript = Parakeet().transcript(result, options(word_timestamps=True), DURATION_S)

    [segment] = transcript.segments
    assert segment.words == (Word(word="forty", start_s=0.2, end_s=0.5), Word(word="two.", start_s=0.6, end_s=0.8))
    assert (transcript.language, segment.start_s, segment.end_s) == (None, 0.2, 0.8)


SPANS_ALL = [(0.0, DURATION_S)]


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
def test_an_unknown_familys_result_is_read_whatever_its_shape_and_its_times_are_not_believed(result: object):
    transcript = by_signature("verbose=False").transcript(result, options(), DURATION_S)

    assert (transcript.text, transcript.language) == ("one", None)
    assert [(s.start_s, s.end_s) for s in transcript.segments] == SPANS_ALL


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
        # Its end is how long the computation took.
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
def test_marks_are_no_text_and_only_times_that_the_model_heard_are_times(
    family: str, result: object, text: str, times: list[tuple[float, float]] | None
):
    transcript = row(family).transcript(result, options(), DURATION_S)

    assert transcript.text == text
    assert [(s.start_s, s.end_s) for s in transcript.segments] == (times or SPANS_ALL)


@pytest.mark.parametrize(
    ("said", "language", "emotion", "events"),
    [
        ({"language": "en", "emotion": "happy", "event": "Speech"}, "en", "happy", ()),
        ({"language": "yue", "emotion": "unk", "event": "BGM"}, "yue", None, ("bgm",)),
        ({"language": "unknown", "emotion": "token_7", "event": "token_9"}, None, None, ()),
    ],
)
def test_sensevoice_says_language_emotion_and_event_where_it_names_one(
    said: dict[str, str], language: str | None, emotion: str | None, events: tuple[str, ...]
):
    result = SimpleNamespace(text="one", language=said["language"], segments=[{"text": "one", **said}])
    transcript = SenseVoice().transcript(result, options(), DURATION_S)

    [segment] = transcript.segments
    assert (transcript.language, segment.emotion, segment.events) == (language, emotion, events)


@pytest.mark.parametrize(("spent", "is_truncated"), [(TOKENS - 1, False), (TOKENS, True)])
def test_a_text_that_used_up_its_tokens_is_truncated(spent: int, is_truncated: bool):
    result = SimpleNamespace(text="one", segments=None, generation_tokens=spent)

    assert row("higgs_audio_3").transcript(result, options(), DURATION_S).is_truncated is is_truncated


WITH_A_BUDGET = """
import sys
from mlx_audio.stt import load
from rapl_mlx.families.qwen3_asr import Qwen3Asr
from rapl_mlx.families.results import ResultListener
from rapl_protocol.transcript import TranscribeOptions

folder, wav, budget = sys.argv[1:]
model = load(folder, strict=True)
family = Qwen3Asr.of(model)
decoded = family.generate(model, wav, {"max_tokens": int(budget), "language": "English"}, ResultListener())
print(family.transcript(decoded, TranscribeOptions(model="a/b"), 3.0).model_dump_json())
"""


@pytest.mark.parametrize(
    ("budget", "text", "is_truncated"),
    [(3, "three one four", True), (100, "three one four one five nine", False)],
)
def test_a_real_transcript_that_its_budget_cut_off_says_so(
    mlx_python: str, digits: Path, budget: int, text: str, is_truncated: bool
):
    sample = Path(__file__).parents[3] / "samples" / "three-one-four.wav"
    command = [mlx_python, "-c", WITH_A_BUDGET, digits, sample, str(budget)]
    environ = {**os.environ, "MLX_DISABLE_COMPILE": "1"}  # which would only take time
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, env=environ)
    transcript = Transcript.model_validate_json(ended.stdout)

    assert (transcript.text, transcript.is_truncated) == (text, is_truncated)


class StreamingModel:
    """Yields what it was given, as families that stream do."""

    def __init__(self, *items: Any) -> None:
        self.items = items
        self.taken = 0

    def generate(self, audio: str, **arguments: Any) -> Any:
        assert arguments.pop("stream") is True
        return self._items()

    def _items(self) -> Any:
        for item in self.items:
            self.taken += 1
            yield item


def piece(text: str, tokens: int = 0) -> SimpleNamespace:
    return SimpleNamespace(text=text, generation_tokens=tokens)


@pytest.mark.parametrize(
    "items", [(" one", " ", "two", " "), (piece(" one", 1), piece(" ", 2), piece("two", 3), piece(" ", 3))]
)
def test_a_family_that_streams_tells_words_as_they_come_and_together_they_are_the_text(items: tuple[Any, ...]):
    texts: list[str] = []
    family = row("granite_speech")
    result = family.generate(StreamingModel(*items), "x.wav", {}, ResultListener(texts.append))
    transcript = family.transcript(result, options(), DURATION_S)

    assert texts == ["one", " two"]
    assert transcript.text == "one two"


def test_a_family_that_takes_stream_and_returns_the_whole_all_the_same_is_read():
    model = SimpleNamespace(generate=lambda audio, stream: piece("one"))

    assert row("qwen2_audio").generate(model, "x.wav", {}, ResultListener()).text == "one"


def test_decoding_ends_between_two_tokens_when_nobody_waits_any_more():
    model = StreamingModel("one", "two", "three")
    listener = ResultListener(is_cancelled=lambda: model.taken >= 2)
    with pytest.raises(Cancelled):
        row("granite_speech").generate(model, "x.wav", {}, listener)

    assert model.taken == 2


def test_a_temperature_is_declared_where_it_has_an_effect_and_only_there():
    without = {name for name in TRAITS if not row(name).capabilities.temperature}

    ctc = {"granite_speech5_ctc", "granite_speech_nar", "mms"}
    assert without == ctc | {"cohere_asr", "fireredasr2", "nemotron_asr"}
    assert not SenseVoice().capabilities.temperature
    assert not Parakeet().capabilities.temperature
    assert QWEN.capabilities.temperature
    assert WHISPER.capabilities.temperature


def test_a_family_is_named_after_the_module_of_its_class():
    model = type("Model", (), {"__module__": "mlx_audio.stt.models.granite_speech.granite_speech"})()
    assert family_name(model) == "granite_speech"

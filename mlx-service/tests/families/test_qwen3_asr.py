"""Qwen3-ASR: its arguments, the prefix in its text, and its token limit."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from rapl_mlx.families.languages import NAME_BY_CODE
from rapl_mlx.families.qwen3_asr import DecodedText, Qwen3Asr
from rapl_mlx.families.results import ResultListener, max_tokens_for
from rapl_protocol.transcript import TranscribeOptions, Transcript

DURATION_S = 3.0
TOKENS = max_tokens_for(DURATION_S)
FAMILY = Qwen3Asr(["Chinese", "English", "German"])
ENGLISH = "language English<asr_text>"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"language": "de"}, {"language": "German"}),
        ({"prompt": "Käse"}, {"system_prompt": "Käse"}),
        ({"keywords": ("Käse",)}, {"hotwords": ["Käse"]}),
        ({"temperature": 0.0}, {"temperature": 0.0}),
    ],
)
def test_it_is_called_with_the_options_under_its_own_names(given: dict[str, Any], expected: dict[str, Any]):
    arguments = FAMILY.arguments(TranscribeOptions(model="a/b", **given), DURATION_S)

    assert arguments == {"max_tokens": TOKENS, **expected}


def test_a_checkpoint_without_a_list_of_languages_has_all_languages_of_qwen3_asr():
    assert Qwen3Asr([]).capabilities.languages == tuple(NAME_BY_CODE)
    assert FAMILY.capabilities.languages == ("zh", "en", "de")


def test_it_declares_that_a_temperature_has_an_effect():
    assert FAMILY.capabilities.temperature


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
def test_the_prefix_is_never_taken_for_text_nor_text_for_a_prefix(
    forced: str | None, written: str, language: str | None, text: str, size: int
):
    texts: list[str] = []
    decoded = DecodedText(forced, ResultListener(texts.append))
    for at in range(0, len(written), size):
        decoded.add(written[at : at + size])
    decoded.finish()

    assert (decoded.language, decoded.text) == (language, text)
    assert "".join(texts) == text


@pytest.mark.parametrize(
    ("written", "language"),
    [("language German<asr_text>eins", "de"), ("language Klingon<asr_text>x", None), ("x", None)],
)
def test_the_transcript_has_the_detected_language_and_one_segment_over_the_whole_audio(
    written: str, language: str | None
):
    decoded = DecodedText()
    decoded.add(written)
    decoded.finish()
    transcript = FAMILY.transcript(decoded, TranscribeOptions(model="a/b"), DURATION_S)

    assert transcript.language == language
    assert [(s.start_s, s.end_s) for s in transcript.segments] == [(0.0, DURATION_S)]


TRANSCRIBE_WITH_A_TOKEN_LIMIT = """
import sys
from mlx_audio.stt import load
from rapl_mlx.families.qwen3_asr import Qwen3Asr
from rapl_mlx.families.results import ResultListener
from rapl_protocol.transcript import TranscribeOptions

folder, wav, limit = sys.argv[1:]
model = load(folder, strict=True)
family = Qwen3Asr.of(model)
decoded = family.generate(model, wav, {"max_tokens": int(limit), "language": "English"}, ResultListener())
print(family.transcript(decoded, TranscribeOptions(model="a/b"), 3.0).model_dump_json())
"""


@pytest.mark.parametrize(
    ("limit", "text", "is_truncated"),
    [(3, "three one four", True), (100, "three one four one five nine", False)],
)
def test_a_real_transcript_that_reached_the_token_limit_is_truncated(
    mlx_python: str, digits: Path, limit: int, text: str, is_truncated: bool
):
    sample = Path(__file__).parents[3] / "samples" / "three-one-four.wav"
    command = [mlx_python, "-c", TRANSCRIBE_WITH_A_TOKEN_LIMIT, digits, sample, str(limit)]
    environ = {**os.environ, "MLX_DISABLE_COMPILE": "1"}  # compiling only takes time here
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, env=environ)
    transcript = Transcript.model_validate_json(ended.stdout)

    assert (transcript.text, transcript.is_truncated) == (text, is_truncated)

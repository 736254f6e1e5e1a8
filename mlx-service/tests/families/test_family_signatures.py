"""Compares the families of the installed mlx-audio with those that the adapters were written for."""

import json
import subprocess
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

import pytest
from rapl_mlx.families import Family
from rapl_mlx.families.generic import GenericFamily
from rapl_mlx.families.languages import NAME_BY_CODE
from rapl_mlx.families.parakeet import Parakeet
from rapl_mlx.families.qwen3_asr import Qwen3Asr
from rapl_mlx.families.sensevoice import SenseVoice
from rapl_mlx.families.traits import NO_TRANSCRIPTION, OWN_ADAPTER, TRAITS
from rapl_mlx.families.whisper import Whisper
from rapl_protocol.transcript import TranscribeOptions

HERE = Path(__file__).parent
WRITTEN_FOR: dict[str, Any] = json.loads((HERE / "family_signatures.json").read_text())
READ_THEM_AGAIN = "read the change in mlx-audio, update the adapter, then write family_signatures.json again"

EVERYTHING = TranscribeOptions(
    model="a/b", language="en", prompt="x", keywords=("y",), temperature=0.2, word_timestamps=True, translate=True
)
NOTHING = TranscribeOptions(model="a/b")
ADAPTERS: dict[str, Family] = {
    **{name: GenericFamily(traits) for name, traits in TRAITS.items()},
    "whisper": Whisper(("en", "de")),
    "parakeet": Parakeet(),
    "phonon2": Parakeet(),
    "sensevoice": SenseVoice(),
}
"""Adapters whose arguments are passed to `generate` unchanged."""
TAKEN_OUT_OF_KWARGS = {"parakeet": {"verbose"}, "phonon2": {"verbose"}}
"""Names that a family takes out of its `**kwargs`."""


@pytest.fixture(scope="module")
def installed(mlx_python: str) -> dict[str, Any]:
    program = [mlx_python, HERE / "read_family_signatures.py"]
    return json.loads(subprocess.run(program, check=True, timeout=120, capture_output=True).stdout)


def signature(parameters: list[list[str | None]]) -> Signature:
    return Signature(
        [
            Parameter(str(name), getattr(Parameter, str(kind)), default=default or Parameter.empty)
            for name, kind, default in parameters
        ]
    )


def test_every_family_is_described(installed: dict[str, Any]):
    described = TRAITS.keys() | OWN_ADAPTER | NO_TRANSCRIPTION

    assert installed.keys() - described == set(), "new in mlx-audio: add a row or an adapter"
    assert described - installed.keys() == set(), "removed from mlx-audio"


@pytest.mark.parametrize("family", WRITTEN_FOR)
def test_a_family_has_the_parameters_that_its_adapter_was_written_for(installed: dict[str, Any], family: str):
    assert installed.get(family) == WRITTEN_FOR[family], f"{family}: {READ_THEM_AGAIN}"


@pytest.mark.parametrize("given", [NOTHING, EVERYTHING], ids=["nothing", "everything"])
@pytest.mark.parametrize("family", ADAPTERS)
def test_an_adapters_arguments_bind_to_the_familys_signature(
    installed: dict[str, Any], family: str, given: TranscribeOptions
):
    arguments = ADAPTERS[family].arguments(given, 3.0)
    if family in TRAITS and TRAITS[family].streams:
        arguments["stream"] = True
    called = signature(installed[family]["Model.generate"])

    called.bind("audio.wav", **arguments)
    known = called.parameters.keys() | TAKEN_OUT_OF_KWARGS.get(family, set())
    assert set(arguments) <= known, f"{family} ignores some of these arguments"


@pytest.mark.parametrize(
    ("family", "function"),
    [("qwen3_asr", "Qwen3ASRModel.stream_generate"), ("phonon", "PhononASRModel.stream_generate")],
)
def test_the_arguments_of_qwen3_asr_bind_to_its_stream_generate(installed: dict[str, Any], family: str, function: str):
    adapters = Qwen3Asr(NAME_BY_CODE.values()).arguments(EVERYTHING, 3.0)
    ours = {name: adapters[name] for name in ("max_tokens", "language", "system_prompt")}

    signature(installed[family][function]).bind("audio", sampler=None, **ours)
    assert adapters["language"] == "English"


def test_mega_asr_still_has_the_functions_that_choose_its_weights(installed: dict[str, Any]):
    functions = installed["mega_asr"]

    signature(functions["Model._set_lora"]).bind(True)
    signature(functions["AudioQualityRouter.route"]).bind("audio.wav")


def test_modules_without_a_speech_to_text_model_still_have_none(installed: dict[str, Any]):
    for family in NO_TRANSCRIPTION:
        called = installed[family].get("Model.generate", [])
        required = [name for name, kind, default in called if default is None and kind != "VAR_KEYWORD"]
        assert required != ["audio"], family


def test_the_table_of_adapters_is_complete():
    assert ADAPTERS.keys() | {"qwen3_asr", "phonon", "mega_asr"} == TRAITS.keys() | OWN_ADAPTER

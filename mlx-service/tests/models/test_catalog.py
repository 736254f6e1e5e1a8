"""The operator's list of models, and the settings around it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import AliasChoices, ValidationError
from rapl_mlx.machine import unsupported_reason
from rapl_mlx.models.catalog import ModelList, ModelSource
from rapl_mlx.settings import DEFAULT_MODEL, Settings
from rapl_protocol.errors import ErrorCode, ServiceError

SETTINGS = Path(__file__).parents[3] / "docs" / "settings.md"
MODELS = ModelList.parse("a/one, b/two@v1.0, house/three=/models/three, mlx-community/*")


def test_the_list_keeps_the_operators_order():
    assert MODELS.sources == (
        ModelSource("a/one"),
        ModelSource("b/two", revision="v1.0"),
        ModelSource("house/three", folder=Path("/models/three")),
    )


def test_a_pattern_allows_what_it_does_not_list():
    assert MODELS.resolve("mlx-community/parakeet-tdt-0.6b-v2") == ModelSource("mlx-community/parakeet-tdt-0.6b-v2")


@pytest.mark.parametrize(
    "model_id", ["a/other", "A/one", "mlx-community/../x", "mlx-community/a/b", "mlx-community/", "one", "b/two@v2", ""]
)
def test_any_other_id_is_refused_with_the_way_to_allow_it(model_id: str):
    with pytest.raises(ServiceError, match="RAPL_MLX_MODELS") as caught:
        MODELS.resolve(model_id)

    assert caught.value.code is ErrorCode.MODEL_NOT_FOUND


@pytest.mark.parametrize("text", ["", " , ", "no-owner", "a/b/c", "a/..", "x=relative/folder", "=/models/x", "a/b,a/b"])
def test_a_list_with_a_mistake_is_refused(text: str):
    with pytest.raises(ValueError, match=r"id|model|neither"):
        ModelList.parse(text)


@pytest.mark.parametrize(
    ("environ", "preload"),
    [
        ({}, (DEFAULT_MODEL,)),
        ({"RAPL_MLX_MODELS": "x/*,a/b,c/d"}, ("a/b",)),
        ({"RAPL_MLX_MODELS": "x/*"}, ()),
        ({"RAPL_MLX_MODELS": "a/b,c/d", "RAPL_MLX_PRELOAD": "none"}, ()),
        ({"RAPL_MLX_MODELS": "a/b,c/d", "RAPL_MLX_PRELOAD": "c/d, a/b"}, ("c/d", "a/b")),
    ],
)
def test_the_first_model_is_made_ready_at_start_unless_others_are_named(
    environ: dict[str, str], preload: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert Settings().preload_ids == preload


def test_a_model_to_preload_must_be_in_the_list(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAPL_MLX_PRELOAD", "a/b")
    with pytest.raises(ValidationError, match="RAPL_MLX_MODELS"):
        Settings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("RAPL_MLX_PORT", "many"),
        ("RAPL_MLX_MODELS", "no-owner"),
        ("RAPL_MLX_PRELOAD", "x/y"),
        ("RAPL_MLX_MAX_QUEUE", "0"),
    ],
)
def test_a_bad_setting_ends_the_service_with_a_line_that_names_the_variable(variable: str, value: str):
    command = [sys.executable, "-m", "rapl_mlx"]
    ended = subprocess.run(command, env={variable: value}, capture_output=True, text=True, timeout=60)

    assert ended.returncode == 2
    assert ended.stderr.startswith(f"{variable}: ")
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("system", "machine", "mac_version", "reason"),
    [
        ("Darwin", "arm64", "14.0", None),
        ("Darwin", "arm64", "26.1", None),
        ("Linux", "x86_64", "", None),
        ("Darwin", "arm64", "13.6.1", "macOS 14"),
        ("Darwin", "x86_64", "15.0", "arm64"),
        ("Windows", "AMD64", "", "Windows"),
    ],
)
def test_a_machine_that_cannot_run_mlx_is_told_why(system: str, machine: str, mac_version: str, reason: str | None):
    actual = unsupported_reason(system, machine, mac_version)
    assert actual is None if reason is None else reason in (actual or "")


def test_the_table_of_settings_has_every_default():
    rows = dict(re.findall(r"^\| `(RAPL_\w+)` \| ([^|]*) \|", SETTINGS.read_text(), re.MULTILINE))

    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        variable = str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"RAPL_MLX_{name.upper()}"
        default = DEFAULT_MODEL if name == "models" else field.default
        said = rows[variable].strip("`")
        assert said == ("none" if default in (None, ()) else str(default)), variable

"""Settings: defaults and invalid values."""

import subprocess
import sys

import pytest
from pydantic import ValidationError
from rapl_mlx.settings import DEFAULT_MODEL, Settings


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
def test_the_first_model_is_preloaded_unless_others_are_named(
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
def test_an_invalid_setting_ends_the_service_with_one_line_that_names_the_variable(variable: str, value: str):
    command = [sys.executable, "-m", "rapl_mlx"]
    ended = subprocess.run(command, env={variable: value}, capture_output=True, text=True, timeout=60)

    assert ended.returncode == 2
    assert ended.stderr.startswith(f"{variable}: ")
    assert len(ended.stderr.splitlines()) == 1

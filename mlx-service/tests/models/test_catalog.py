"""The list of allowed models."""

from pathlib import Path

import pytest
from rapl_mlx.models.catalog import ModelList, ModelSource
from rapl_protocol.errors import ErrorCode, ServiceError

MODELS = ModelList.parse("a/one, b/two@v1.0, house/three=/models/three, mlx-community/*")


def test_the_list_keeps_the_configured_order():
    assert MODELS.sources == (
        ModelSource("a/one"),
        ModelSource("b/two", revision="v1.0"),
        ModelSource("house/three", folder=Path("/models/three")),
    )


def test_a_pattern_allows_matching_models_without_listing_them():
    assert MODELS.resolve("mlx-community/parakeet-tdt-0.6b-v2") == ModelSource("mlx-community/parakeet-tdt-0.6b-v2")


@pytest.mark.parametrize(
    "model_id", ["a/other", "A/one", "mlx-community/../x", "mlx-community/a/b", "mlx-community/", "one", "b/two@v2", ""]
)
def test_any_other_id_is_refused_and_the_message_names_the_setting(model_id: str):
    with pytest.raises(ServiceError, match="RAPL_MLX_MODELS") as caught:
        MODELS.resolve(model_id)

    assert caught.value.code is ErrorCode.MODEL_NOT_FOUND


@pytest.mark.parametrize("text", ["", " , ", "no-owner", "a/b/c", "a/..", "x=relative/folder", "=/models/x", "a/b,a/b"])
def test_a_list_with_a_mistake_is_refused(text: str):
    with pytest.raises(ValueError, match=r"id|model|neither"):
        ModelList.parse(text)

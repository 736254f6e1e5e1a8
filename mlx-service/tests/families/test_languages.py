"""Languages by name and by code."""

import pytest
from rapl_mlx.families.languages import language_code


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ("English", "en"), (" cantonese ", "yue"), ("de", "de"),
        ("None", None), ("auto", None), ("Klingon", None), ("", None), (None, None), (7, None),
    ],
)  # fmt: skip
def test_a_language_becomes_its_code_or_none(named: object, code: str | None):
    assert language_code(named) == code

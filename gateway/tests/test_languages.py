import pytest
from rapl_gateway.languages import parse_language
from rapl_protocol.errors import ServiceError


@pytest.mark.parametrize(
    ("written", "code"),
    [
        (None, None), ("", None), ("auto", None), ("null", None),
        ("en", "en"), ("EN", "en"), ("en-US", "en"), ("en_GB", "en"), ("English", "en"), (" english ", "en"),
        ("zh", "zh"), ("zh-CN", "zh"), ("zh-tw", "zh"), ("zh-HK", "yue"), ("yue", "yue"), ("Mandarin", "zh"),
    ],
)  # fmt: skip
def test_every_form_of_a_language_that_clients_send_is_parsed(written: str | None, code: str | None):
    assert parse_language(written) == code


@pytest.mark.parametrize("written", ["klingon", "xx", "12", "en;q=1"])
def test_anything_else_is_refused_and_not_detected(written: str):
    with pytest.raises(ServiceError, match="Invalid language"):
        parse_language(written)

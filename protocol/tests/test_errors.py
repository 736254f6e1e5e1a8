import pytest
from rapl_protocol.errors import HTTP_STATUS, ErrorCode, ServiceError


def test_every_code_has_a_status():
    assert set(HTTP_STATUS) == set(ErrorCode)


@pytest.mark.parametrize("code", list(ErrorCode))
def test_an_error_survives_the_wire(code: ErrorCode):
    error = ServiceError(code, "what is wrong", param="file", retry_after_s=7)

    received = ServiceError.from_response(error.status, error.envelope(), error.headers().get("retry-after"))

    assert (received.code, received.message, received.param) == (code, "what is wrong", "file")
    assert received.retry_after_s == (None if "x-should-retry" in error.headers() else 7)


@pytest.mark.parametrize(
    "body", [None, "oops", {"detail": "x"}, {"error": "x"}, {"error": {"message": "m", "code": "?"}}]
)
def test_an_answer_that_is_no_envelope_is_an_internal_error_that_names_the_status(body: object):
    error = ServiceError.from_response(502, body)

    assert error.code is ErrorCode.INTERNAL
    assert "502" in error.message


@pytest.mark.parametrize("code", [ErrorCode.INTERNAL, ErrorCode.BACKEND_TIMEOUT])
def test_an_error_that_would_happen_again_says_not_to_retry(code: ErrorCode):
    assert ServiceError(code, "m").headers() == {"x-should-retry": "false"}

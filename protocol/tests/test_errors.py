from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field
from rapl_protocol.errors import HTTP_STATUS, ErrorCode, ServiceError, invalid_fields, reason_of
from rapl_protocol.transcript import TranscribeOptions, Transcript

SECRET = "zanzibar-marker"


class Circle(BaseModel):
    kind: Literal["circle"]


class Square(BaseModel):
    kind: Literal["square"]


class Shape(BaseModel):
    shape: Annotated[Circle | Square, Field(discriminator="kind")]


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


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Transcript, {"text": SECRET}),
        (Transcript, {"text": [SECRET], "duration_s": 1.0}),
        (Transcript, {"text": "", "duration_s": SECRET}),
        (Transcript, SECRET),
        (TranscribeOptions, {"model": "a", "prompt": {"text": SECRET}}),
        (TranscribeOptions, {"model": "a", "keywords": SECRET}),
        (Shape, {"shape": {"kind": SECRET}}),
    ],
)
def test_the_reason_of_an_invalid_value_does_not_contain_the_value(kind: type[BaseModel], value: object):
    with pytest.raises(ValueError, match=SECRET) as caught:
        kind.model_validate(value)

    assert reason_of(caught.value)
    assert SECRET not in reason_of(caught.value)


def test_the_reason_of_an_invalid_value_names_the_field():
    with pytest.raises(ValueError, match="duration_s") as caught:
        Transcript.model_validate({"text": "", "segments": [{"start_s": 0, "end_s": 1}]})

    assert [field.name for field in invalid_fields(caught.value)] == ["duration_s", "segments.0.text"]
    assert reason_of(caught.value) == "duration_s: Field required"


@pytest.mark.parametrize("param", [None, 3, ["file"], {"name": "file"}])
def test_a_field_name_that_is_not_text_is_left_out(param: object):
    body = {"error": {"message": "m", "code": "invalid_request", "param": param}}

    assert ServiceError.from_response(400, body).param is None

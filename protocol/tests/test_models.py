import pytest
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import Capabilities, ModelInfo, ModelState, Progress
from rapl_protocol.transcript import TranscribeOptions

OPTIONAL_WORDS = {"word_timestamps": True, "words_are_optional": True}


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"translate": True}, "model"),
        ({"word_timestamps": True}, "timestamp_granularities"),
        ({"language": "de"}, "language"),
    ],
)
def test_an_option_that_the_model_cannot_honour_is_refused_and_the_field_named(wanted, param):
    with pytest.raises(ServiceError) as caught:
        Capabilities(languages=("en", "zh")).require(TranscribeOptions(model="m", **wanted))

    assert (caught.value.code, caught.value.param) == (ErrorCode.UNSUPPORTED_PARAMETER, param)


@pytest.mark.parametrize(
    "wanted", [{}, {"language": "zh"}, {"prompt": "p"}, {"keywords": ("k",)}, {"temperature": 0.5}, OPTIONAL_WORDS]
)
def test_a_hint_without_effect_is_not_refused(wanted):
    Capabilities(languages=("en", "zh")).require(TranscribeOptions(model="m", **wanted))


def test_an_engine_without_a_list_of_languages_accepts_any():
    Capabilities(languages=None).require(TranscribeOptions(model="m", language="de"))


def test_a_model_whose_capabilities_are_unknown_refuses_no_option():
    unknown = Capabilities(is_known=False)
    unknown.require(TranscribeOptions(model="m", language="de", translate=True, word_timestamps=True))

    assert not any(
        (unknown.prompt, unknown.keywords, unknown.temperature, unknown.word_timestamps, unknown.translation)
    )


def test_the_error_of_a_model_that_is_not_ready_has_state_progress_and_remedy():
    info = ModelInfo(
        id="a/b",
        state=ModelState.DOWNLOADING,
        progress=Progress(done_bytes=250_000_000, total_bytes=1_000_000_000),
        reason="first use",
        remedy="Wait.",
    )

    message = info.not_ready_error().message

    assert message == "model 'a/b' is not ready: downloading 25% of 1000 MB (first use). Wait."


@pytest.mark.parametrize("state", [state for state in ModelState if state is not ModelState.READY])
def test_the_error_of_a_model_that_is_not_ready_ends_with_what_to_do(state: ModelState):
    error = ModelInfo(id="example/model", state=state, reason="a reason").not_ready_error()

    assert error.remedy
    assert error.message == f"{error.reason} {error.remedy}"


def test_the_engines_own_remedy_comes_first():
    info = ModelInfo(id="example/model", state=ModelState.FAILED, remedy="Delete the file.")

    assert info.not_ready_error().message.endswith(". Delete the file.")

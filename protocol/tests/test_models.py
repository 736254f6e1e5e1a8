import pytest
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import Capabilities, ModelInfo, ModelState, Progress
from rapl_protocol.transcript import TranscribeOptions


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"translate": True}, "model"),
        ({"word_timestamps": True}, "timestamp_granularities"),
        ({"language": "de"}, "language"),
    ],
)
def test_what_would_mislead_if_passed_over_is_refused_and_the_field_named(wanted, param):
    with pytest.raises(ServiceError) as caught:
        Capabilities(languages=("en", "zh")).require(TranscribeOptions(model="m", **wanted))

    assert (caught.value.code, caught.value.param) == (ErrorCode.UNSUPPORTED_PARAMETER, param)


@pytest.mark.parametrize(
    "wanted", [{}, {"language": "zh"}, {"prompt": "p"}, {"keywords": ("k",)}, {"temperature": 0.5}]
)
def test_a_hint_without_effect_is_not_refused(wanted):
    Capabilities(languages=("en", "zh")).require(TranscribeOptions(model="m", **wanted))


def test_an_engine_that_does_not_say_its_languages_is_given_any():
    Capabilities(languages=None).require(TranscribeOptions(model="m", language="de"))


def test_a_model_of_which_nothing_is_known_yet_claims_nothing_and_refuses_nothing():
    unknown = Capabilities(is_known=False)
    unknown.require(TranscribeOptions(model="m", language="de", translate=True, word_timestamps=True))

    assert not any(
        (unknown.prompt, unknown.keywords, unknown.temperature, unknown.word_timestamps, unknown.translation)
    )


def test_a_model_that_is_not_ready_says_its_state_how_far_it_is_and_what_to_do():
    info = ModelInfo(
        id="a/b",
        state=ModelState.DOWNLOADING,
        progress=Progress(done_bytes=250_000_000, total_bytes=1_000_000_000),
        reason="first use",
        remedy="Wait.",
    )

    message = info.not_ready_error().message

    assert message == "model 'a/b' is not ready: downloading 25% of 1000 MB (first use). Wait."

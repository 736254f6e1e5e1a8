"""The session object: what an update changes, and how the session is described."""

import pytest
from rapl_gateway.realtime.rules.config import EAGERNESS_SILENCE_MS, SessionConfig
from rapl_protocol.errors import ServiceError
from rapl_protocol.live_audio import AudioEncoding, TurnDetection

NEW = SessionConfig(default_model="whisper-1")
LIVEKIT = {
    "type": "transcription",
    "audio": {
        "input": {
            "format": {"rate": 24000, "type": "audio/pcm"},
            "noise_reduction": {"type": "near_field"},
            "transcription": {"keywords": [], "languages": ["en"], "model": "gpt-live-transcribe"},
        }
    },
}


def given(**fields: object) -> SessionConfig:
    return NEW.updated({"audio": {"input": fields}})


def test_a_new_session_is_described_with_openais_defaults():
    assert NEW.described() == {
        "type": "transcription",
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": {"model": "whisper-1", "language": None, "prompt": ""},
                "noise_reduction": None,
                "turn_detection": {
                    "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500,
                },
            }
        },
        "include": None,
    }  # fmt: skip


def test_an_update_changes_only_what_it_has():
    first = given(transcription={"model": "whisper-1", "language": "de", "prompt": "Grüße"}, turn_detection=None)

    second = first.updated({"audio": {"input": {"transcription": {"language": "en"}}}})

    assert second.transcribe_options("m").language == "en"
    assert second.transcribe_options("m").prompt == "Grüße"
    assert second.detection is None
    assert first.updated({}) == first


def test_null_clears_a_field():
    config = given(transcription={"model": "gpt-live-transcribe", "prompt": "a", "keywords": ["b"]})

    cleared = config.updated({"audio": {"input": {"transcription": None}}})

    assert cleared == NEW
    assert config.updated({"audio": {"input": {"turn_detection": None}}}).described()["audio"]["input"][
        "turn_detection"
    ] is None  # fmt: skip


@pytest.mark.parametrize(
    ("model", "has_detection"),
    [
        ("gpt-live-transcribe", False),
        ("gpt-live-transcribe-2026-07-01", False),
        ("gpt-realtime-whisper", False),
        ("gpt-4o-mini-transcribe", True),
        ("gpt-live-transcriber", True),
        ("whisper-1", True),
        (None, True),
    ],
)
def test_the_model_decides_about_detection_until_the_client_sets_it(model, has_detection):
    config = given(transcription={"model": model})

    assert (config.detection is not None) is has_detection
    assert config.updated({"turn_detection": {"type": "server_vad"}}).detection == TurnDetection()


def test_livekits_session_without_a_turn_detection_has_none():
    config = NEW.updated(LIVEKIT)

    assert config.detection is None
    assert config.transcribe_options("m").language == "en"
    assert config.described()["audio"]["input"]["transcription"] == {
        "model": "gpt-live-transcribe", "language": None, "prompt": "", "languages": ["en"], "keywords": [],
    }  # fmt: skip


def test_server_vad_has_defaults_for_what_is_not_sent():
    assert given(turn_detection={"type": "server_vad", "silence_duration_ms": 350}).detection == TurnDetection(
        silence_duration_ms=350
    )


@pytest.mark.parametrize("eagerness", [*EAGERNESS_SILENCE_MS, None])
def test_semantic_vad_is_silence_by_eagerness(eagerness):
    config = given(turn_detection={"type": "semantic_vad", **({"eagerness": eagerness} if eagerness else {})})

    assert config.detection == TurnDetection(silence_duration_ms=EAGERNESS_SILENCE_MS[eagerness or "auto"])
    described = config.described()["audio"]["input"]["turn_detection"]
    assert described == {"type": "semantic_vad", "eagerness": eagerness or "auto"}


@pytest.mark.parametrize(
    ("sent", "encoding", "rate_hz"),
    [
        ({"type": "audio/pcm"}, AudioEncoding.PCM16, 24_000),
        ({"type": "audio/pcm", "rate": 16_000}, AudioEncoding.PCM16, 16_000),
        ({"type": "audio/pcmu"}, AudioEncoding.PCMU, 8_000),
        ({"type": "audio/pcma", "rate": 8_000}, AudioEncoding.PCMA, 8_000),
        ("pcm16", AudioEncoding.PCM16, 24_000),
        ("g711_ulaw", AudioEncoding.PCMU, 8_000),
        ("g711_alaw", AudioEncoding.PCMA, 8_000),
    ],
)
def test_formats_are_read_in_both_forms(sent, encoding, rate_hz):
    nested, flat = given(format=sent), NEW.updated({"input_audio_format": sent})

    assert nested == flat
    assert (nested.encoding, nested.rate_hz) == (encoding, rate_hz)


def test_the_older_form_configures_the_same():
    flat = {
        "input_audio_format": "pcm16",
        "input_audio_transcription": {"model": "gpt-4o-transcribe", "language": "en"},
        "input_audio_noise_reduction": {"type": "near_field"},
        "turn_detection": {"type": "server_vad", "threshold": 0.7},
    }

    config = NEW.updated(flat)

    assert config == given(
        transcription={"model": "gpt-4o-transcribe", "language": "en"},
        turn_detection={"type": "server_vad", "threshold": 0.7},
    )
    assert config.described_flat()["input_audio_format"] == "pcm16"
    assert config.described_flat()["turn_detection"]["threshold"] == 0.7


@pytest.mark.parametrize(
    ("field", "value", "param"),
    [
        ("format", {"type": "audio/mp3"}, "session.audio.input.format.type"),
        ("format", {"type": "audio/pcm", "rate": 7_999}, "session.audio.input.format.rate"),
        ("format", {"type": "audio/pcmu", "rate": 16_000}, "session.audio.input.format.rate"),
        ("transcription", {"language": "klingon"}, "session.audio.input.transcription.language"),
        ("transcription", {"keywords": ["a\nb"]}, "session.audio.input.transcription.keywords"),
        ("transcription", {"replacements": {"": "x"}}, "session.audio.input.transcription.replacements"),
        ("transcription", {"prompt": "x" * 100_001}, "session.audio.input.transcription.prompt"),
        ("turn_detection", {"type": "other"}, "session.audio.input.turn_detection.type"),
        ("turn_detection", {"type": "server_vad", "threshold": 2}, "session.audio.input.turn_detection.threshold"),
        ("turn_detection", {"type": "server_vad", "threshold": "x"}, "session.audio.input.turn_detection.threshold"),
    ],
)
def test_a_wrong_value_is_refused_with_its_fields_name_and_without_the_value(field, value, param):
    with pytest.raises(ServiceError) as caught:
        given(**{field: value})

    assert caught.value.param == param
    assert "x" * 10 not in caught.value.message


@pytest.mark.parametrize(
    "session",
    [
        {"type": "realtime", "instructions": "Be kind.", "voice": "alloy", "tools": []},
        {"audio": {"output": {"voice": "alloy"}, "input": {"transcription": {"delay": "low", "new": 1}}}},
        {"audio": {"input": {"turn_detection": {"type": "server_vad", "create_response": False, "new": [1]}}}},
        {"audio": None, "include": None},
    ],
)
def test_fields_that_have_no_use_here_are_accepted(session):
    assert NEW.updated(session).requested_model == "whisper-1"

"""What one end encodes the other decodes to the same values."""

import pytest
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.frames import Frame, decode_single_frame, encode_frame
from rapl_protocol.intervals import Interval
from rapl_protocol.prepared import PrepareEnd, PrepareOptions, PrepareProgress, SourceInfo, SpeechSegment
from rapl_protocol.testing import make_tone
from rapl_protocol.transcript import Segment, TranscribeOptions, Transcript
from rapl_protocol.wire import (
    decode_prepared_event,
    decode_transcribe_request,
    decode_transcript_event,
    encode_error,
    encode_prepare_query,
    encode_prepared_event,
    encode_transcribe_request,
    encode_transcript_event,
)

AUDIO = make_tone(0.2)
OPTIONS = TranscribeOptions(model="fake/model", language="en", prompt="Käse\nund Brot", keywords=("RAPL",))


def frame_of(data: bytes) -> Frame:
    frame = decode_single_frame(data)
    frame.header.pop("payload_bytes", None)
    return frame


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_request_to_transcribe_is_decoded_as_it_was_encoded(is_streamed: bool):
    body = b"".join(encode_transcribe_request(AUDIO, OPTIONS, is_streamed=is_streamed))

    request = decode_transcribe_request(body)

    assert request.options == OPTIONS
    assert request.audio.pcm == AUDIO.pcm
    assert request.is_streamed is is_streamed


def test_the_samples_are_copied_at_neither_end():
    *_, pcm = encode_transcribe_request(AUDIO, OPTIONS)
    request = decode_transcribe_request(b"".join(encode_transcribe_request(AUDIO, OPTIONS)))

    assert pcm is AUDIO.pcm
    assert isinstance(request.audio.pcm, memoryview)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"no line", ErrorCode.INVALID_REQUEST),
        (b'{"language": "en"}\n' + AUDIO.to_wav(), ErrorCode.INVALID_REQUEST),
        (b'{"model": "m"}\nnot audio', ErrorCode.AUDIO_UNDECODABLE),
        (b'{"model": "m"}\n' + make_tone(31).to_wav(), ErrorCode.AUDIO_TOO_LARGE),
    ],
)
def test_a_body_that_is_no_request_is_refused_with_its_code(body: bytes, code: ErrorCode):
    with pytest.raises(ServiceError) as caught:
        decode_transcribe_request(body)

    assert caught.value.code is code


@pytest.mark.parametrize(
    "event",
    [
        " three",
        Transcript(text="one", language="en", duration_s=1.0, segments=(Segment(start_s=0, end_s=1, text="one"),)),
    ],
)
def test_a_frame_of_a_streamed_transcript_is_decoded_as_it_was_encoded(event: str | Transcript):
    assert decode_transcript_event(frame_of(encode_transcript_event(event))) == event


@pytest.mark.parametrize(
    "event",
    [
        SourceInfo(container="wav", codec="pcm_s16le", sample_rate_hz=8000, channels=1),
        SpeechSegment(1.0, 1.2, AUDIO, speech=(Interval(0.05, 0.15),)),
        SpeechSegment(1.0, 1.2, AUDIO),
        PrepareProgress(position_s=60.0),
        PrepareEnd(duration_s=90.0, speech_s=3.0),
    ],
)
def test_a_prepared_event_is_decoded_as_it_was_encoded(event):
    assert decode_prepared_event(frame_of(b"".join(encode_prepared_event(event)))) == event


@pytest.mark.parametrize("decode", [decode_prepared_event, decode_transcript_event])
def test_an_error_frame_raises_the_error_that_was_sent(decode):
    error = ServiceError(ErrorCode.AUDIO_UNDECODABLE, "broken at 0.2 s", param="file")

    with pytest.raises(ServiceError, match="broken at") as caught:
        decode(frame_of(encode_error(error)))

    assert (caught.value.code, caught.value.param) == (error.code, error.param)


@pytest.mark.parametrize("decode", [decode_prepared_event, decode_transcript_event])
@pytest.mark.parametrize("header", [{}, {"type": "another"}, {"type": "segment"}, {"type": "transcript"}])
def test_a_frame_that_is_no_event_is_a_value_error(decode, header):
    with pytest.raises(ValueError, match=r"unknown frame|validation error"):
        decode(frame_of(encode_frame(header)))


def test_only_options_other_than_the_default_are_in_the_query():
    assert encode_prepare_query(PrepareOptions()) == ""
    assert encode_prepare_query(PrepareOptions(speech_detection="off", vad_threshold=0.7)) == (
        "speech_detection=off&vad_threshold=0.7"
    )

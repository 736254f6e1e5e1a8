"""A request to speaker-service is decoded as it was encoded; one that is not in order is refused."""

from collections.abc import AsyncIterator, Sequence

import pytest
from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.frames import encode_frame
from rapl_protocol.speakers import (
    MAX_SPEECH_BYTES,
    DiarizationEvent,
    DiarizationOptions,
    RecordedSpeech,
    SpeakerReference,
    decode_diarization_request,
    encode_diarization_event,
    unusable_reference,
    unusable_reference_index,
)
from rapl_protocol.testing import make_tone

TONE = make_tone(0.1)
OPTIONS = DiarizationOptions(speakers=3, references=2)
REFERENCE = SpeakerReference(TONE)


def speech(start_s: float) -> RecordedSpeech:
    return RecordedSpeech(start_s, TONE)


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def decoded(body: bytes, size: int = 1000) -> list[DiarizationEvent]:
    return [event async for event in decode_diarization_request(pieces(body, size))]


def encoded(*events: DiarizationEvent) -> bytes:
    return b"".join(piece for event in events for piece in encode_diarization_event(event))


@pytest.mark.parametrize(
    "events",
    [
        [DiarizationOptions()],
        [DiarizationOptions(speakers=2), speech(0.0), speech(12.5), speech(12.5)],
        [OPTIONS, REFERENCE, REFERENCE, speech(3)],
    ],
)
@pytest.mark.parametrize("size", [7, 10_000])
async def test_a_request_is_decoded_as_it_was_encoded(events: Sequence[DiarizationEvent], size: int):
    assert await decoded(encoded(*events), size) == list(events)


async def test_an_event_is_decoded_before_the_body_has_ended():
    async def never_ending() -> AsyncIterator[bytes]:
        yield encoded(DiarizationOptions(), speech(1.0))
        raise AssertionError("more of the body was read than the first two frames need")

    events = decode_diarization_request(never_ending())

    assert await anext(events) == DiarizationOptions()
    assert await anext(events) == speech(1.0)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no frame",
        encoded(speech(0.0)),
        encoded(DiarizationOptions(), DiarizationOptions()),
        encoded(OPTIONS, REFERENCE),
        encoded(OPTIONS, REFERENCE, speech(0.0)),
        encoded(DiarizationOptions(), REFERENCE),
        encoded(DiarizationOptions(), speech(2.0), speech(1.0)),
        encoded(DiarizationOptions(), speech(-1.0)),
        encoded(DiarizationOptions(), speech(float("nan"))),
        encoded(DiarizationOptions(), speech(float("inf"))),
        encoded(DiarizationOptions(references=1), SpeakerReference(make_tone(10.5))),
        encoded(DiarizationOptions()) + encode_frame({"type": "speech", "start_s": 0.0}, b"odd"),
        encode_frame({"type": "options", "speakers": 0}),
        encode_frame({"type": "options", "names": ["somebody"]}),
        encode_frame({"type": "transcript"}),
        encoded(DiarizationOptions(), RecordedSpeech(0.0, WavAudio(bytes(MAX_SPEECH_BYTES + 2)))),
    ],
)
async def test_a_body_that_is_no_request_is_refused(body: bytes):
    with pytest.raises(ServiceError) as caught:
        await decoded(body)

    assert caught.value.code is ErrorCode.INVALID_REQUEST


@pytest.mark.parametrize("index", [0, 11])
def test_an_unusable_reference_is_found_in_its_error_at_the_other_end(index: int):
    sent = unusable_reference(index, "has no speech.")

    received = ServiceError.from_response(sent.status, sent.envelope())

    assert unusable_reference_index(received) == index


@pytest.mark.parametrize("param", [None, "file", "references", "references.", "references.a"])
def test_another_error_is_about_no_reference(param: str | None):
    assert unusable_reference_index(ServiceError(ErrorCode.INVALID_REQUEST, "wrong", param=param)) is None

"""A session's output depends on its audio only: not on its pieces, on other sessions, or on where it was resumed."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rapl_preprocess.live.detection import step
from rapl_preprocess.live.stream import CHECKPOINT_CONTROLS, CHECKPOINT_SAMPLES, LiveStream, Output
from rapl_preprocess.speech.silero import SpeechModel
from rapl_protocol.live_audio import (
    AudioEncoding,
    Checkpoint,
    Flush,
    Flushed,
    LiveControl,
    LiveOptions,
    SpeechStarted,
    SpeechStopped,
    TurnDetection,
)

DETECTION = TurnDetection()
AT_16K = LiveOptions(rate_hz=16_000, detection=DETECTION)
anything = settings(deadline=None, max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])

Message = bytes | LiveControl


def in_pieces(audio: bytes, sizes: Iterable[int]) -> list[bytes]:
    sizes = list(sizes)
    pieces, at = list[bytes](), 0
    while at < len(audio):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(audio[at : at + size])
        at += size
    return pieces


def outputs_of(model: SpeechModel, stream: LiveStream, messages: Iterable[Message]) -> list[Output]:
    return [output for message in messages for output in step(model.network, [(stream, message)])[0]]


def audio_of(outputs: Iterable[Output]) -> bytes:
    return b"".join(output for output in outputs if isinstance(output, bytes))


def events_of(outputs: Iterable[Output]) -> list[Output]:
    return [output for output in outputs if not isinstance(output, bytes | Checkpoint)]


def places_of(outputs: Iterable[Output]) -> list[tuple[int, Output]]:
    """The events, each with the bytes of audio that were sent before it."""
    sent, places = 0, list[tuple[int, Output]]()
    for output in outputs:
        if isinstance(output, bytes):
            sent += len(output)
        elif not isinstance(output, Checkpoint):
            places.append((sent, output))
    return places


def test_each_time_a_person_speaks_is_a_turn_also_when_quietly(model: SpeechModel, conversation: bytes):
    outputs = outputs_of(model, LiveStream(AT_16K), in_pieces(conversation, [640]))
    events = events_of(outputs)

    assert [type(event) for event in events] == [SpeechStarted, SpeechStopped] * 3
    assert audio_of(outputs) == conversation


@anything
@given(sizes=st.lists(st.integers(1, 50_001), min_size=1, max_size=8))
@pytest.mark.parametrize("rate_hz", [24_000, 44_100])
def test_the_pieces_in_which_audio_comes_change_neither_samples_nor_events_nor_their_order(
    model: SpeechModel, conversation: bytes, sizes: list[int], rate_hz: int
):
    options = LiveOptions(rate_hz=rate_hz, detection=DETECTION)
    sizes = [max(sizes), *sizes]  # otherwise most examples would consist of tiny pieces
    audio = conversation[:250_000]
    whole = outputs_of(model, LiveStream(options), in_pieces(audio, [32_000]))
    pieces = outputs_of(model, LiveStream(options), in_pieces(audio, sizes))

    assert audio_of(pieces) == audio_of(whole)
    assert places_of(pieces) == places_of(whole)
    assert events_of(whole)


def test_audio_up_to_a_position_is_sent_before_the_event_that_names_it(model: SpeechModel, conversation: bytes):
    options = LiveOptions(rate_hz=24_000, detection=DETECTION)
    sent = 0
    for output in outputs_of(model, LiveStream(options), in_pieces(conversation, [960])):
        if isinstance(output, bytes):
            sent += len(output) // 2
        else:
            assert output.at_sample <= sent


@pytest.mark.parametrize("count", [2, 7])
def test_sessions_that_are_computed_together_get_what_each_gets_alone(
    model: SpeechModel, conversation: bytes, count: int
):
    audios = [conversation[2 * 3_000 * i :] for i in range(count)]
    pieces = [in_pieces(audio, [640 + 1_024 * i]) for i, audio in enumerate(audios)]
    streams = [LiveStream(AT_16K) for _ in audios]
    together: list[list[Output]] = [[] for _ in audios]
    for i in range(max(map(len, pieces))):
        arrived = [k for k in range(count) if i < len(pieces[k])]
        outputs = step(model.network, [(streams[k], pieces[k][i]) for k in arrived])
        for k, output in zip(arrived, outputs, strict=True):
            together[k] += output

    for k in range(count):
        alone = outputs_of(model, LiveStream(AT_16K), pieces[k])
        assert audio_of(together[k]) == audio_of(alone)
        assert events_of(together[k]) == events_of(alone)


def messages_with_changes(conversation: bytes) -> list[Message]:
    """The conversation with flushes, other options and another format on the way."""
    third = len(conversation) // 3 | 1  # in the middle of a sample
    quick = TurnDetection(silence_duration_ms=200)
    return [
        *in_pieces(conversation[:third], [1_921]),
        Flush(),
        *in_pieces(conversation[third : 2 * third], [961]),
        LiveOptions(rate_hz=24_000, detection=quick),
        *in_pieces(conversation[third : 2 * third], [4_803]),
        LiveOptions(encoding=AudioEncoding.PCMU, rate_hz=8_000, detection=quick),
        *in_pieces(np.random.default_rng(1).integers(0, 256, 20_000, np.uint8).tobytes(), [160]),
        LiveOptions(rate_hz=44_100, detection=None),
        *in_pieces(conversation[2 * third :], [3_000]),
        LiveOptions(rate_hz=44_100, detection=DETECTION),
        *in_pieces(conversation, [5_000]),
        Flush(),
    ]


def from_byte(messages: Iterable[Message], checkpoint: Checkpoint) -> list[Message]:
    """What a client sends after the checkpoint, in pieces of its own."""
    kept, at, control = list[Message](), 0, 1
    for message in messages:
        if isinstance(message, bytes):
            kept.append(message[max(0, checkpoint.keep_from_byte - at) :])
            at += len(message)
        else:
            if control >= checkpoint.controls:
                kept.append(message)
            control += 1
    return kept


def resumed_from_each_checkpoint(model: SpeechModel, whole: list[Output], messages: list[Message]) -> int:
    """Resumes the session at each checkpoint and compares the rest. Returns the number of checkpoints."""
    checkpoints = [(i, output) for i, output in enumerate(whole) if isinstance(output, Checkpoint)]
    for i, checkpoint in checkpoints:
        resumed = outputs_of(model, LiveStream.resumed(checkpoint.state), from_byte(messages, checkpoint))

        assert audio_of(resumed) == audio_of(whole)[2 * checkpoint.at_sample :]
        assert events_of(resumed) == events_of(whole[i:])
    return len(checkpoints)


def test_a_session_that_is_resumed_from_any_checkpoint_goes_on_as_if_it_had_not_been_interrupted(
    model: SpeechModel, conversation: bytes
):
    messages = messages_with_changes(conversation)
    whole = outputs_of(model, LiveStream(LiveOptions(rate_hz=16_000, detection=DETECTION)), messages)

    assert resumed_from_each_checkpoint(model, whole, messages) > 15
    assert len(events_of(whole)) >= 10


def test_a_second_of_audio_makes_a_checkpoint_of_a_few_kilobytes(model: SpeechModel, conversation: bytes):
    outputs = outputs_of(model, LiveStream(AT_16K), in_pieces(conversation, [640]))
    checkpoints = [output for output in outputs if isinstance(output, Checkpoint)]

    gaps = np.diff([0, *(checkpoint.at_sample for checkpoint in checkpoints)])
    assert all(CHECKPOINT_SAMPLES <= gap < CHECKPOINT_SAMPLES + 640 for gap in gaps)
    assert all(len(checkpoint.model_dump_json()) < 4_000 for checkpoint in checkpoints)


def test_control_messages_without_audio_make_checkpoints_too(model: SpeechModel, conversation: bytes):
    """The conversation is cut in the middle of a frame, of a word and of a sample."""
    messages = [conversation[:50_001], *[Flush(), AT_16K] * CHECKPOINT_CONTROLS, conversation[50_001:]]
    whole = outputs_of(model, LiveStream(AT_16K), messages)

    assert resumed_from_each_checkpoint(model, whole, messages) >= 3


def test_a_flush_returns_all_audio_first_and_names_its_end(model: SpeechModel, conversation: bytes):
    second = conversation[:48_000]
    options = LiveOptions(rate_hz=24_000)
    *before, flushed, _ = outputs_of(model, LiveStream(options), [second, Flush()])

    assert flushed == Flushed(at_sample=16_000)
    assert len(audio_of(before)) == 32_000


def test_switching_the_detection_off_ends_the_open_turn(model: SpeechModel, conversation: bytes):
    stream = LiveStream(AT_16K)
    spoken = outputs_of(model, stream, in_pieces(conversation[:32_000], [640]))
    off = outputs_of(model, stream, [LiveOptions(rate_hz=16_000)])
    after = outputs_of(model, stream, in_pieces(conversation[32_000:], [640]))

    assert [type(event) for event in events_of(spoken)] == [SpeechStarted]
    [stopped] = events_of(off)
    assert isinstance(stopped, SpeechStopped)
    assert stopped.at_sample <= 16_000
    assert events_of(after) == []
    assert audio_of(after) == conversation[32_000:]


IMPOSSIBLE = [
    ('"at_sample":', '"at_sample":9'),
    ('"hidden":"', '"hidden":"AAAA'),
    ('"is_open":false,"runs":[', '"is_open":true,"runs":['),
]


@pytest.mark.parametrize(("before", "after"), IMPOSSIBLE)
def test_a_state_that_is_not_possible_is_refused(model: SpeechModel, before: str, after: str):
    outputs = outputs_of(model, LiveStream(AT_16K), [bytes(32_000)] * 2)
    [state, *_] = [output.state for output in outputs if isinstance(output, Checkpoint)]
    assert before in state

    with pytest.raises(ValueError, match=r"not possible|at most"):
        LiveStream.resumed(state.replace(before, after))

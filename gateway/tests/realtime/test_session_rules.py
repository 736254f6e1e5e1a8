"""The rules of a session: the tables of `input_buffer`, and the order and content of what is sent."""

import pytest
from rapl_gateway.realtime.rules.client_events import MAX_EVENT_BYTES
from rapl_gateway.realtime.rules.commands import BeginTurn, Close, EndedBy, ToDetector
from rapl_gateway.realtime.rules.input_buffer import MAX_WAITING_TURNS, State
from rapl_gateway.realtime.rules.session_rules import MAX_ERRORS, MAX_WAITING_FLUSHES
from rapl_gateway.realtime.turn_text import TextDelta, TurnCompleted
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.live_audio import AudioEncoding, LiveOptions, TurnDetection
from rapl_protocol.transcript import TokenLogprob
from realtime.driven_rules import Driven, summary

NO_DETECTION = {"audio": {"input": {"turn_detection": None}}}
SERVER_VAD = {"audio": {"input": {"turn_detection": {"type": "server_vad"}}}}
COMMITTED = ["committed", "added", "done"]
ADDED = ["BeginTurn", "AddAudio"]
GONE = ServiceError(ErrorCode.BACKEND_UNAVAILABLE, "the engine cannot be reached")


def in_state(state: State) -> Driven:
    driven = Driven(NO_DETECTION if state in (State.EMPTY, State.FILLING, State.HELD) else SERVER_VAD)
    if state is not State.EMPTY:
        driven.audio()
    if state in (State.SPEECH, State.CUT):
        driven.started()
        driven.audio()
    if state is State.CUT:
        driven.commit()
    if state is State.HELD:
        driven.update(turn_detection={"type": "server_vad"})
        driven.flushed()
    assert driven.rules.buffer.state is state
    return driven


WHAT_HAPPENS = {
    "audio": lambda driven: driven.audio(),
    "started": lambda driven: driven.started(),
    "stopped": lambda driven: driven.stopped(),
    "commit": lambda driven: driven.commit(),
    "clear": lambda driven: driven.clear(),
    "detection off": lambda driven: [*driven.update(turn_detection=None), *driven.flushed()],
    "detection on": lambda driven: [*driven.update(turn_detection={"type": "server_vad"}), *driven.flushed()],
}
UPDATED = ["updated", "ToDetector"]
TABLE = {
    State.EMPTY: {
        "audio": (ADDED, State.FILLING),
        "started": ([], State.EMPTY),
        "stopped": ([], State.EMPTY),
        "commit": ([*COMMITTED, "completed"], State.EMPTY),
        "clear": (["cleared"], State.EMPTY),
        "detection off": (UPDATED, State.EMPTY),
        "detection on": (UPDATED, State.SILENCE),
    },
    State.FILLING: {
        "audio": (["AddAudio"], State.FILLING),
        "started": ([], State.FILLING),
        "stopped": ([], State.FILLING),
        "commit": ([*COMMITTED, "CommitTurn"], State.EMPTY),
        "clear": (["DropTurn", "cleared"], State.EMPTY),
        "detection off": (UPDATED, State.FILLING),
        "detection on": (UPDATED, State.HELD),
    },
    State.SILENCE: {
        "audio": ([], State.SILENCE),
        "started": ([*ADDED, "speech_started"], State.SPEECH),
        "stopped": ([], State.SILENCE),
        "commit": ([*COMMITTED, "completed"], State.SILENCE),
        "clear": (["cleared"], State.SILENCE),
        "detection off": ([*UPDATED, *ADDED], State.FILLING),
        "detection on": (UPDATED, State.SILENCE),
    },
    State.SPEECH: {
        "audio": (["AddAudio"], State.SPEECH),
        "started": ([], State.SPEECH),
        "stopped": (["speech_stopped", *COMMITTED, "CommitTurn"], State.SILENCE),
        "commit": ([*COMMITTED, "CommitTurn"], State.CUT),
        "clear": (["DropTurn", "cleared"], State.CUT),
        "detection off": (UPDATED, State.FILLING),
        "detection on": (UPDATED, State.SPEECH),
    },
    State.CUT: {
        "audio": (ADDED, State.SPEECH),
        "started": ([], State.CUT),
        "stopped": ([], State.SILENCE),
        "commit": ([*COMMITTED, "completed"], State.CUT),
        "clear": (["cleared"], State.CUT),
        "detection off": (UPDATED, State.EMPTY),
        "detection on": (UPDATED, State.CUT),
    },
    State.HELD: {
        "audio": (["AddAudio"], State.HELD),
        "started": (["speech_started"], State.SPEECH),
        "stopped": ([], State.HELD),
        "commit": ([*COMMITTED, "CommitTurn"], State.SILENCE),
        "clear": (["DropTurn", "cleared"], State.SILENCE),
        "detection off": (UPDATED, State.FILLING),
        "detection on": (UPDATED, State.HELD),
    },
}


@pytest.mark.parametrize(
    ("state", "what"), [(state, what) for state in State for what in WHAT_HAPPENS], ids=lambda each: str(each)
)
def test_each_state_does_what_the_table_says(state, what):
    driven = in_state(state)
    expected, next_state = TABLE[state][what]

    commands = WHAT_HAPPENS[what](driven)

    assert summary(commands) == expected
    assert driven.rules.buffer.state is next_state


def test_a_session_is_created_at_once_and_an_update_is_confirmed_before_it_applies():
    driven = Driven()

    driven.update(transcription={"model": "gpt-live-transcribe"}, turn_detection=None)

    assert [event["type"] for event in driven.events] == ["session.created", "session.updated"]
    assert driven.rules.buffer.state is State.SILENCE
    assert driven.commands[-1] == ToDetector(LiveOptions())
    driven.flushed()
    assert driven.rules.buffer.state is State.EMPTY


def test_a_detected_turn_is_sent_in_openais_order_with_its_times_and_ids():
    driven = Driven()
    driven.audio(bytes(32_000))
    driven.started(12_800)
    [item_id] = driven.rules.buffer.turns
    driven.rules.on_delta(item_id, TextDelta("one"))
    driven.audio(bytes(32_000))
    driven.stopped(24_000)
    done = driven.rules.on_completed(item_id, TurnCompleted("one two", 0.7, languages=("en",)))

    started, stopped, committed, added, _ = driven.events[1:]
    assert started | {"event_id": ""} == {
        "type": "input_audio_buffer.speech_started", "event_id": "", "audio_start_ms": 800, "item_id": item_id,
    }  # fmt: skip
    assert (stopped["audio_end_ms"], stopped["item_id"]) == (1500, item_id)
    assert (committed["item_id"], committed["previous_item_id"]) == (item_id, None)
    assert added["item"]["content"] == [{"type": "input_audio", "transcript": None}]
    [completed] = [command.event for command in done]
    assert (completed["item_id"], completed["transcript"]) == (item_id, "one two")
    assert completed["usage"] == {"type": "duration", "seconds": 0.7}
    assert completed["languages"] == [{"code": "en"}]


def test_a_detected_turn_begins_with_the_kept_audio_of_its_padding():
    driven = Driven()
    loud = b"\x01\x02" * 1600
    driven.audio(bytes(32_000) + loud)

    commands = driven.started(16_000)

    assert b"".join(command.pcm for command in commands if type(command).__name__ == "AddAudio") == loud


def test_a_session_with_many_turns_or_flushes_is_behind_until_they_are_done():
    driven = Driven(NO_DETECTION)
    for _ in range(MAX_WAITING_TURNS + 1):
        assert not driven.rules.is_behind
        driven.audio()
        driven.commit()
    assert driven.rules.is_behind
    driven.take(driven.rules.on_completed(next(iter(driven.rules.buffer.turns)), TurnCompleted("", 0.1)))
    assert not driven.rules.is_behind

    for _ in range(MAX_WAITING_FLUSHES + 1):
        driven.send({"type": "input_audio_buffer.clear"})
    assert driven.rules.is_behind
    driven.flushed()
    assert not driven.rules.is_behind


def test_a_session_with_more_waiting_audio_than_the_longest_turn_is_behind():
    driven = Driven(NO_DETECTION, max_turn_s=0.25)
    for _ in range(3):
        driven.audio()
    assert driven.rules.is_behind


def test_each_item_names_the_item_before_it():
    driven = Driven(NO_DETECTION)
    for _ in range(3):
        driven.audio()
        driven.commit()

    committed = driven.events_of("committed")
    assert [each["previous_item_id"] for each in committed] == [None, *[each["item_id"] for each in committed[:2]]]


@pytest.mark.parametrize("samples", [0, 1599])
def test_an_empty_or_short_commit_is_an_empty_item_and_no_error(samples):
    driven = Driven(NO_DETECTION)
    driven.audio(bytes(2 * samples))
    driven.commit()

    [completed] = driven.events_of("completed")
    assert (completed["transcript"], completed["usage"]["seconds"]) == ("", round(samples / 16_000, 3))
    assert driven.events_of("error") == []
    assert driven.rules.buffer.turns == {}


def test_what_is_left_of_speech_after_a_clients_commit_is_no_item():
    driven = in_state(State.CUT)
    driven.audio(bytes(320))

    assert summary(driven.stopped()) == ["DropTurn"]
    assert driven.rules.buffer.state is State.SILENCE


def test_speech_that_goes_on_after_a_clients_commit_is_the_next_item():
    driven = in_state(State.CUT)
    driven.audio()

    assert summary(driven.stopped()) == ["speech_stopped", *COMMITTED, "CommitTurn"]


@pytest.mark.parametrize("session", [NO_DETECTION, SERVER_VAD])
def test_a_turn_that_reaches_the_longest_length_is_committed_and_the_next_one_begins(session):
    driven = Driven(session, max_turn_s=1)
    driven.audio()
    driven.started()
    for _ in range(25):
        driven.audio()

    begun = [command for command in driven.commands if isinstance(command, BeginTurn)]
    assert len(driven.events_of("committed")) == 2
    assert len(begun) == 3


def test_a_turn_has_the_options_of_the_audio_and_not_those_that_came_later():
    driven = Driven(NO_DETECTION)
    driven.append()
    driven.update(transcription={"language": "de"})
    driven.audio()
    driven.flushed()
    driven.commit()
    driven.audio()

    first, second = [command.config for command in driven.commands if isinstance(command, BeginTurn)]
    assert (first.languages, second.languages) == ((), ("de",))


def test_log_probabilities_are_sent_only_if_the_client_includes_them():
    tokens = (TokenLogprob(token=" é", logprob=-0.5),)
    driven = Driven(NO_DETECTION | {"include": ["item.input_audio_transcription.logprobs"]})
    without = Driven(NO_DETECTION)
    for each in (driven, without):
        each.audio()
        [item_id] = each.rules.buffer.turns
        each.commit()
        each.take(each.rules.on_delta(item_id, TextDelta("é", tokens)))
        each.take(each.rules.on_completed(item_id, TurnCompleted("é", 0.1, logprobs=tokens)))

    sent = [{"token": " é", "bytes": [32, 195, 169], "logprob": -0.5}]
    assert [each["logprobs"] for each in driven.events_of("delta", "completed")] == [sent, sent]
    assert "logprobs" not in without.events_of("delta")[0]
    assert without.events_of("completed")[0]["logprobs"] is None


def test_the_older_form_has_its_own_names():
    driven = Driven({"input_audio_format": "g711_ulaw", "turn_detection": None}, is_flat=True)
    driven.send({"type": "transcription_session.update", "session": {"input_audio_transcription": {"language": "en"}}})
    driven.flushed()
    driven.commit()

    created, updated, _, item, _ = driven.events
    assert created["type"] == "transcription_session.created"
    assert created["session"]["input_audio_format"] == "g711_ulaw"
    assert updated["type"] == "transcription_session.updated"
    assert updated["session"]["input_audio_transcription"]["language"] == "en"
    assert item["type"] == "conversation.item.created"


def test_a_client_that_sends_the_older_update_gets_the_older_events_from_then_on():
    driven = Driven()
    driven.send({"type": "transcription_session.update", "session": {"turn_detection": None}})

    assert [each["type"] for each in driven.events] == ["session.created", "transcription_session.updated"]


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ("no json", "invalid_request", None),
        ("[1]", "invalid_request", None),
        (b"audio", "invalid_request", "type"),
        ({"session": {}}, "invalid_request", "type"),
        ({"type": ["a"]}, "invalid_request", "type"),
        ({"type": "response.create"}, "invalid_request", "type"),
        ({"type": "session.update"}, "invalid_request", "session"),
        ({"type": "session.update", "session": {"audio": 1}}, "invalid_request", "session.audio"),
        ({"type": "input_audio_buffer.append"}, "invalid_request", "audio"),
        ({"type": "input_audio_buffer.append", "audio": "?"}, "invalid_request", "audio"),
        ({"type": "conversation.item.delete", "item_id": "item_0"}, "not_found", "item_id"),
        ({"type": "session.update", "session": {"x": "y" * (1 << 20)}}, "invalid_request", "type"),
        ("x" * (MAX_EVENT_BYTES + 1), "audio_too_large", "audio"),
    ],
)
def test_a_wrong_event_is_an_error_that_names_the_field_and_the_session_goes_on(message, code, param):
    driven = Driven(NO_DETECTION)
    if isinstance(message, dict):
        message["event_id"] = "mine"

    driven.send(message)

    [error] = driven.events_of("error")
    assert (error["error"]["code"], error["error"]["param"]) == (code, param)
    assert error["error"]["event_id"] == ("mine" if isinstance(message, dict) else None)
    assert summary(driven.audio()) == ADDED


def test_an_error_names_the_type_that_is_not_supported():
    driven = Driven()
    driven.send({"type": "response.create"})

    assert "'response.create'" in driven.events[-1]["error"]["message"]


def test_an_unknown_model_is_an_error_and_changes_nothing():
    driven = Driven()
    driven.update(transcription={"model": "no/such", "language": "de"})

    assert driven.events[-1]["error"]["code"] == "model_not_found"
    assert driven.rules.config.requested_model == "whisper-1"
    assert driven.rules.config.languages == ()


def test_a_client_that_sends_only_errors_is_disconnected():
    driven = Driven()
    for _ in range(MAX_ERRORS + 10):
        driven.send("no json")

    assert driven.commands[-1] == Close(EndedBy.TOO_MANY_ERRORS, "too many errors")
    assert len(driven.events_of("error")) == MAX_ERRORS


def test_a_client_with_one_turn_gets_an_error_after_failed_and_others_do_not():
    waiting, speaking, detected = Driven(NO_DETECTION), Driven(NO_DETECTION), Driven(SERVER_VAD)
    for driven in (waiting, speaking, detected):
        driven.append()
        driven.audio()
        driven.started()
        driven.audio()
        [item_id] = driven.rules.buffer.turns
        driven.commit()
        if driven is speaking:
            driven.append()
        driven.take(driven.rules.on_failed(item_id, GONE))

    assert [each["type"].rpartition(".")[2] for each in waiting.events[-2:]] == ["failed", "error"]
    assert waiting.events[-1]["error"]["code"] == "backend_unavailable"
    assert [driven.events[-1]["type"].rpartition(".")[2] for driven in (speaking, detected)] == ["failed"] * 2


def test_an_item_can_be_retrieved_with_its_text_and_deleted():
    driven = Driven(NO_DETECTION)
    driven.audio()
    [item_id] = driven.rules.buffer.turns
    driven.commit()
    driven.rules.on_completed(item_id, TurnCompleted("one", 0.1))

    driven.send({"type": "conversation.item.retrieve", "item_id": item_id})
    assert driven.events[-1]["item"]["content"][0]["transcript"] == "one"
    driven.send({"type": "conversation.item.delete", "item_id": item_id})
    assert driven.events[-1]["type"] == "conversation.item.deleted"
    driven.send({"type": "conversation.item.retrieve", "item_id": item_id})
    assert driven.events[-1]["type"] == "error"


def test_a_session_that_is_ended_finishes_its_turns_first():
    driven = Driven(NO_DETECTION)
    driven.audio()
    [item_id] = driven.rules.buffer.turns

    assert summary(driven.take(driven.rules.end(EndedBy.SHUTDOWN, "stopping"))) == []
    assert summary(driven.flushed()) == [*COMMITTED, "CommitTurn"]
    assert driven.send({"type": "response.create"}) == []
    assert summary(driven.audio()) == []
    commands = driven.rules.on_completed(item_id, TurnCompleted("one", 0.1))
    assert commands[-1] == Close(EndedBy.SHUTDOWN, "stopping")


def test_an_idle_session_that_is_ended_is_closed_without_an_item():
    driven = Driven()
    driven.rules.end(EndedBy.IDLE, "idle")

    assert driven.flushed() == [Close(EndedBy.IDLE, "idle")]


def test_without_speech_detection_the_open_turn_ends_with_its_audio_and_the_session_is_closed():
    driven = Driven(NO_DETECTION)
    driven.append()
    driven.audio()
    [item_id] = driven.rules.buffer.turns

    assert summary(driven.rules.on_detector_failed(GONE)) == ["error", *COMMITTED, "CommitTurn"]
    assert driven.rules.on_failed(item_id, GONE)[-1] == Close(EndedBy.NO_DETECTION, "speech detection is not available")


@pytest.mark.parametrize("came_back", [False, True], ids=["nothing", "a part"])
def test_a_committed_turn_whose_audio_did_not_all_come_back_fails_and_is_not_taken_for_silence(came_back):
    driven = Driven(NO_DETECTION)
    driven.append()
    if came_back:
        driven.audio()
    driven.send({"type": "input_audio_buffer.commit"})
    driven.send({"type": "input_audio_buffer.commit"})
    dropped = ["DropTurn"] if came_back else []

    commands = driven.take(driven.rules.on_detector_failed(GONE))

    without_audio = [*COMMITTED, "completed"]
    assert summary(commands) == ["error", *dropped, *COMMITTED, "failed", *without_audio, "Close"]
    [failed] = driven.events_of(".failed")
    assert failed["error"]["code"] == "backend_unavailable"
    assert driven.rules.counts["failed"] == 1


def test_what_was_cleared_does_not_make_the_next_commit_fail():
    driven = Driven(NO_DETECTION)
    driven.append()
    driven.send({"type": "input_audio_buffer.clear"})
    driven.send({"type": "input_audio_buffer.commit"})

    commands = driven.rules.on_detector_failed(GONE)

    assert summary(commands) == ["error", "cleared", *COMMITTED, "completed", "Close"]


def test_a_session_that_ends_and_waits_no_longer_fails_the_turns_without_a_text():
    driven = Driven(NO_DETECTION)
    driven.append()
    driven.audio()
    driven.commit()
    driven.append()
    driven.send({"type": "input_audio_buffer.commit"})
    driven.rules.end(EndedBy.SHUTDOWN, "stopping")

    commands = driven.take(driven.rules.give_up(GONE))

    assert summary(commands) == [*COMMITTED, "failed", "failed", "Close"]
    items = [event["item_id"] for event in driven.events_of(".committed")]
    assert sorted(event["item_id"] for event in driven.events_of(".failed")) == sorted(items)


def test_audio_goes_to_detection_as_it_was_encoded():
    driven = Driven({"audio": {"input": {"format": {"type": "audio/pcma"}}}})

    assert driven.append(b"\xd5" * 7) == [ToDetector(b"\xd5" * 7)]
    driven.update(format={"type": "audio/pcm", "rate": 48_000}, turn_detection={"type": "server_vad"})
    assert driven.commands[-1] == ToDetector(LiveOptions(rate_hz=48_000, detection=TurnDetection()))
    assert Driven({"input_audio_format": "g711_alaw"}).rules.config.live_options().encoding is AudioEncoding.PCMA


def test_audio_without_samples_changes_nothing():
    assert Driven(NO_DETECTION).append(b"") == []

"""OpenAI's Python SDK, unmodified, on /v1/realtime."""

import base64
import sys
from collections import defaultdict

import pytest
from openai import AsyncOpenAI, OpenAI
from openai.resources.realtime.realtime import RealtimeConnection
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter
from services import SELFTEST, ServiceProcess
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close

# The SDK's synchronous client calls `connect` of the library `websockets` in a way that version 17 calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:connect.. must be used as a context manager:DeprecationWarning")
APPEND_BYTES = 2_400
SERVER_EVENT: TypeAdapter[RealtimeServerEvent] = TypeAdapter(RealtimeServerEvent)


def session(model: str | None, turn_detection: dict | None, **transcription: object) -> dict:
    given = {"format": {"type": "audio/pcm", "rate": 24_000}, "turn_detection": turn_detection}
    return {"type": "transcription", "audio": {"input": given | {"transcription": {"model": model, **transcription}}}}


def append(connection: RealtimeConnection, audio: bytes) -> None:
    for at in range(0, len(audio), APPEND_BYTES):
        connection.input_audio_buffer.append(audio=base64.b64encode(audio[at : at + APPEND_BYTES]).decode())


def turns(connection: RealtimeConnection, count: int) -> list[tuple[str, str]]:
    """The transcript of each turn and its deltas, joined, in the order of the turns: texts may come in another one."""
    order, deltas, transcripts = [], defaultdict(str), {}
    while len(transcripts) < count:
        event = connection.recv()
        SERVER_EVENT.validate_python(event.to_dict())
        assert not event.type.endswith(("error", "failed")), event
        if event.type == "input_audio_buffer.committed":
            order.append(event.item_id)
        elif event.type == "conversation.item.input_audio_transcription.delta":
            deltas[event.item_id] += event.delta
        elif event.type == "conversation.item.input_audio_transcription.completed":
            assert event.item_id not in transcripts, "the turn is completed twice"
            transcripts[event.item_id] = event.transcript
    return [(transcripts[item], deltas[item]) for item in order]


def until_closed(connection: RealtimeConnection) -> tuple[list[str], Close]:
    """The transcripts until the server closes the connection, and how it does so."""
    texts = []
    while True:
        try:
            event = connection.recv()
        except ConnectionClosed as closed:
            return texts, closed.rcvd
        if event.type.endswith(".completed"):
            texts.append(event.transcript)


def test_turns_that_the_client_commits_have_their_text(client, turns_24_khz, transcripts, model):
    with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        connection.session.update(session=session(model, None, language="en"))
        for file, text in zip(turns_24_khz, transcripts, strict=True):
            append(connection, file.read_bytes())
            connection.input_audio_buffer.commit()
            assert turns(connection, 1) == [(text, text)]


def test_turns_that_the_server_detects_have_their_text_once(client, turns_24_khz, transcripts, model):
    with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        connection.session.update(session=session(model, {"type": "server_vad"}))
        for file in turns_24_khz:
            append(connection, file.read_bytes())
        detected = turns(connection, len(transcripts))
        connection.input_audio_buffer.commit()
        last = turns(connection, 1)

    assert detected == [(text, text) for text in transcripts]
    assert last == [("", "")]


async def test_the_asynchronous_client_opens_a_session_with_a_client_secret(fleet, client, speech):
    given = session(SELFTEST, None)
    secret = client.realtime.client_secrets.create(session=given, expires_after={"anchor": "created_at", "seconds": 60})
    async with (
        AsyncOpenAI(base_url=f"{fleet.url}/v1", api_key=secret.value) as page,
        page.realtime.connect(model=SELFTEST) as connection,
    ):
        created = await connection.recv()
        await connection.input_audio_buffer.append(audio=base64.b64encode(speech).decode())
        await connection.input_audio_buffer.commit()
        async for event in connection:
            if event.type.endswith((".completed", ".failed")):
                break

    assert created.session.audio.input.turn_detection is None
    assert event.transcript == "3 1 4 1 5 9."


def test_the_older_helper_for_sessions_has_a_secret(client):
    created = client.beta.realtime.transcription_sessions.create(
        input_audio_format="pcm16", input_audio_transcription={"model": "gpt-4o-transcribe"}
    )

    assert created.client_secret.value.startswith("ek_")
    assert created.turn_detection.type == "server_vad"


def test_a_gateway_that_stops_finishes_the_turn_and_closes_the_session(fleet, speech, tmp_path):
    environ = {"RAPL_SENSEVOICE_URL": fleet.sensevoice.url, "RAPL_PREPROCESS_URL": fleet.preprocess.url}
    with ServiceProcess(sys.executable, "rapl_gateway", "RAPL_PORT", tmp_path / "log", **environ) as gateway:
        client = OpenAI(base_url=f"{gateway.url}/v1", api_key="any")
        with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
            connection.session.update(session=session(SELFTEST, None))
            append(connection, speech)
            connection.input_audio_buffer.commit()
            while connection.recv().type != "input_audio_buffer.committed":
                pass
            assert gateway.stop() == 0
            texts, close = until_closed(connection)

    assert texts == ["3 1 4 1 5 9."]
    assert (close.code, close.reason) == (1012, "the server is shutting down")

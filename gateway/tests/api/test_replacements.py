"""Replacements of the server, of a key and of a request, in every kind of response."""

import hashlib
import json

import pytest
from rapl_protocol.testing import FakeTranscriber
from rapl_protocol.transcript import Segment, Transcript, Word

SPOKEN = "i met eliza beth in new york"
CATALOG = f"""
[replacements]
"eliza beth" = "Elizabeth"

[clients.office]
key_sha256 = "{hashlib.sha256(b"office-key").hexdigest()}"
replacements = {{ "new york" = "NYC" }}
"""


@pytest.fixture
async def transcribe(start, tmp_path):
    (tmp_path / "rapl.toml").write_text(CATALOG)
    fleet = await start(FakeTranscriber("iic/SenseVoiceSmall", text=SPOKEN, streams=True), api_keys="office-key,other")

    async def send(key: str = "other", **fields: str):
        fleet.http.headers["authorization"] = f"Bearer {key}"
        answer = await fleet.transcribe(**fields)
        assert answer.status_code == 200, answer.text
        return answer

    return send


async def test_the_servers_table_holds_for_every_client(transcribe):
    assert (await transcribe()).json()["text"] == "i met Elizabeth in new york"


async def test_a_keys_table_is_added_for_its_clients(transcribe):
    assert (await transcribe("office-key")).json()["text"] == "i met Elizabeth in NYC"


async def test_a_requests_table_is_added_and_overrides(transcribe):
    table = json.dumps({"i": "I", "eliza beth": "Eliza-Beth"})

    assert (await transcribe(replacements=table)).json()["text"] == "I met Eliza-Beth in new york"


async def test_a_request_can_leave_the_tables_out(transcribe):
    assert (await transcribe("office-key", replacements="off")).json()["text"] == SPOKEN


@pytest.mark.parametrize("response_format", ["text", "srt", "vtt", "verbose_json"])
async def test_every_format_has_the_replacements(transcribe, response_format):
    answer = await transcribe(response_format=response_format)

    assert "Elizabeth" in answer.text
    assert "eliza" not in answer.text


async def test_deltas_of_a_stream_join_to_the_replaced_text(transcribe):
    answer = await transcribe("office-key", stream="true")

    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    deltas = [event["delta"] for event in events if event["type"] == "transcript.text.delta"]
    assert "".join(deltas) == events[-1]["text"] == "i met Elizabeth in NYC"
    assert len(deltas) > 3


class Talker(FakeTranscriber):
    async def transcribe(self, audio, options, on_text=None):
        words = tuple(Word(word=each, start_s=n, end_s=n + 1) for n, each in enumerate(SPOKEN.split()))
        segment = Segment(start_s=0.0, end_s=7.0, text=SPOKEN, words=words)
        return Transcript(text=SPOKEN, duration_s=audio.duration_s, segments=(segment,))


async def test_words_keep_their_times(start):
    fleet = await start(Talker("iic/SenseVoiceSmall"))
    fields = {"response_format": "verbose_json", "timestamp_granularities[]": "word"}

    answer = await fleet.transcribe(b"SPEECH:1", replacements='{"eliza beth": "Elizabeth"}', **fields)

    assert answer.json()["words"][2:4] == [
        {"word": "Elizabeth", "start": 2.0, "end": 4.0},
        {"word": "in", "start": 4.0, "end": 5.0},
    ]


@pytest.mark.parametrize(
    "value", ["on", "[]", '{"a": 1}', '{"": "b"}', '{"  ": "b"}', '{"a": "b\\nc"}', json.dumps({"a" * 201: "b"})]
)
async def test_a_wrong_table_is_refused_by_name(fleet, value):
    answer = await fleet.transcribe(replacements=value)

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "replacements")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("[replacements]\na = 1", "replacements.a"),
        ('[clients.x]\nkey_sha256 = "abc"', "clients.x.key_sha256"),
        ("[clients.x]\nreplacements = {}", "clients.x.key_sha256"),
    ],
)
async def test_a_mistake_in_the_catalog_file_is_named(start, tmp_path, line, problem):
    (tmp_path / "rapl.toml").write_text(line)

    with pytest.raises(ValueError, match=problem):
        await start()

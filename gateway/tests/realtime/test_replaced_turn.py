"""Replacements in the events of a turn."""

from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapl_gateway.realtime.replaced_turn import with_replacements
from rapl_gateway.realtime.turn_text import TextDelta, TurnCompleted
from rapl_gateway.transcription.replacements import Replacements
from rapl_protocol.transcript import TokenLogprob
from realtime.client import MANUAL, SPEECH, connected

DELTAS = st.lists(st.text(st.sampled_from("ab 太"), min_size=1, max_size=4), max_size=10)
TABLE = st.dictionaries(
    st.sampled_from(["a", "ab", "a b", "b a", "太", "太a"]), st.text(st.sampled_from("ab太"), max_size=3)
)
LOGPROBS = (TokenLogprob(token="a", logprob=-0.1),)


async def turn(deltas: list[str]) -> AsyncGenerator[TextDelta | TurnCompleted, None]:
    for delta in deltas:
        yield TextDelta(delta)
    yield TurnCompleted("".join(deltas), 1.0, logprobs=LOGPROBS)


async def events_of(deltas: list[str], table: dict[str, str]) -> tuple[list[str], TurnCompleted]:
    *found, completed = [each async for each in with_replacements(turn(deltas), Replacements(table))]
    assert isinstance(completed, TurnCompleted)
    return [each.text for each in found if isinstance(each, TextDelta)], completed


@given(DELTAS, TABLE)
async def test_deltas_join_to_the_transcript_of_the_turn(deltas, table):
    sent, completed = await events_of(deltas, table)

    assert "".join(sent) == completed.transcript == Replacements(table).replaced("".join(deltas))
    assert "" not in sent


async def test_log_probabilities_are_left_out_where_text_was_replaced():
    assert (await events_of(["a c"], {"a": "b"}))[1].logprobs is None
    assert (await events_of(["c"], {"a": "b"}))[1].logprobs == LOGPROBS


async def test_a_session_has_the_servers_replacements(start_realtime, tmp_path):
    (tmp_path / "rapl.toml").write_text('[replacements]\n"two three" = "2 3"\n')
    fleet = await start_realtime()

    async with connected(fleet) as client:
        await client.update(**MANUAL)
        await client.append(SPEECH)
        await client.commit()
        completed = await client.until(".completed")

    deltas = [event["delta"] for event in client.events if event["type"].endswith(".delta")]
    assert completed["transcript"] == "".join(deltas) == "one 2 3"


@pytest.mark.parametrize(
    ("replacements", "transcript"),
    [({"one": "1"}, "1 2 3"), ({"two three": "two, three"}, "one two, three"), (None, "one 2 3")],
)
async def test_a_client_adds_replacements_to_those_of_the_server(start_realtime, tmp_path, replacements, transcript):
    (tmp_path / "rapl.toml").write_text('[replacements]\n"two three" = "2 3"\n')
    fleet = await start_realtime()

    async with connected(fleet) as client:
        await client.update(**MANUAL, transcription={"replacements": replacements})
        await client.append(SPEECH)
        await client.commit()
        completed = await client.until(".completed")

    assert completed["transcript"] == transcript

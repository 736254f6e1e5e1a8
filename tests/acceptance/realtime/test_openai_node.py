"""OpenAI's Node SDK, unmodified, on /v1/realtime, with the connection of Node's `ws` and with the native one."""

import pytest
from services import DIGITS, SELFTEST
from spoken_turns import KEY


@pytest.fixture(scope="module")
def results(secured, node, turns_24_khz):
    arguments = (f"{secured.https}/v1", KEY, f"{SELFTEST},{DIGITS}", *turns_24_khz)
    return node("realtime/openai_node.mjs", *arguments, NODE_EXTRA_CA_CERTS=str(secured.authority))


@pytest.mark.parametrize("mode", ["client", "server"])
@pytest.mark.parametrize("kind", ["OpenAIRealtimeWS", "OpenAIRealtimeWebSocket"])
def test_node_gets_each_turn_once_whoever_finds_its_end(results, model, kind, mode, transcripts):
    turns = results[model][kind][mode]

    assert [turn["transcript"] for turn in turns] == [*transcripts, ""]
    assert [turn["deltas"] for turn in turns] == [*transcripts, ""]

"""pipecat and livekit-plugins-openai, unmodified, on /v1/realtime: they find the ends of turns, or the server does."""

from itertools import pairwise

import pytest
from services import DIGITS, SELFTEST
from spoken_turns import COMMITTING_NAMES, KEY

both_modes = pytest.mark.parametrize("mode", ["client", "server"])


@pytest.fixture(scope="module")
def pipecat(secured, python_client, turns_16_khz):
    url = f"{secured.http.replace('http', 'ws')}/v1/realtime"
    return python_client("frameworks", "pipecat_client.py", url, KEY, f"{SELFTEST},{DIGITS}", *turns_16_khz)


@pytest.fixture(scope="module")
def livekit(secured, python_client, turns_16_khz):
    pairs = ",".join(f"{model}={name}" for model, name in COMMITTING_NAMES.items())
    return python_client("frameworks", "livekit_client.py", f"{secured.http}/v1", KEY, pairs, *turns_16_khz)


@both_modes
def test_pipecat_gets_each_turn_once_and_its_deltas_join_to_it(pipecat, model, mode, transcripts):
    result = pipecat[model][mode]

    assert result["errors"] == []
    assert sorted(turn["transcript"] for turn in result["turns"]) == sorted(transcripts)
    assert [turn["deltas"] for turn in result["turns"]] == [turn["transcript"] for turn in result["turns"]]


@both_modes
def test_livekit_gets_each_turn_once_and_what_it_shows_before_only_grows(livekit, model, mode, transcripts):
    result = livekit[f"{model}={COMMITTING_NAMES[model]}"][mode]

    assert result["errors"] == []
    assert sorted(turn["transcript"] for turn in result["turns"]) == sorted(transcripts)
    for turn in result["turns"]:
        assert all(later.startswith(earlier) for earlier, later in pairwise([*turn["shown"], turn["transcript"]]))

"""The Vercel AI SDK, unmodified, on /v1/realtime: its streams, and its sessions of a page that has a client secret."""

import pytest
from spoken_turns import COMMITTING_NAMES, KEY


@pytest.fixture(scope="module")
def results_of(secured, node, turns_24_khz):
    """The results of the AI SDK by model."""
    answers = {}

    def of(model: str):
        if model not in answers:
            arguments = (f"{secured.http}/v1", f"{secured.https}/v1", KEY, model, COMMITTING_NAMES[model])
            trusted = str(secured.authority)
            answers[model] = node("realtime/ai_sdk.mjs", *arguments, *turns_24_khz, NODE_EXTRA_CA_CERTS=trusted)
        return answers[model]

    return of


@pytest.mark.parametrize("sent", ["spoken", "atOnce"])
def test_a_stream_has_the_text_of_its_turn_however_fast_its_audio_arrives(results_of, model, sent, transcripts):
    streams = results_of(model)[sent]

    assert [stream["transcript"] for stream in streams] == transcripts
    assert [stream["deltas"] for stream in streams] == transcripts
    assert [stream["finals"] for stream in streams] == [[text] for text in transcripts]


def test_a_page_with_a_client_secret_gets_each_turn_once(results_of, model, transcripts):
    page = results_of(model)["page"]

    assert page["protocol"] == "realtime"
    assert [turn["transcript"] for turn in page["turns"]] == [*transcripts, ""]
    assert [turn["deltas"] for turn in page["turns"]] == [*transcripts, ""]

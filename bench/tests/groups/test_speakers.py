"""The scores of who speaks when, and of known speakers, on turns whose result is known by hand."""

import sys

import numpy as np
import pytest
from rapl_bench.groups.speakers.known import KnownConversation, named
from rapl_bench.groups.speakers.mixtures import Conversation
from rapl_bench.groups.speakers.scores import error_rate, interval, score
from rapl_bench.script_process import ScriptError, ScriptProcess
from rapl_protocol.speakers import SpeakerTurn

TRUTH = ((0.0, 4.0, "ann"), (4.0, 6.0, "bob"), (6.0, 10.0, "cem"))
ALL_ONE = ((0.0, 10.0, "0"),)
ALL_RIGHT = ((0.0, 4.0, "0"), (4.0, 6.0, "1"), (6.0, 10.0, "2"))


@pytest.fixture
def meeting() -> Conversation:
    return Conversation("meeting", np.zeros(160_000, np.float32), TRUTH)


def test_speech_of_a_known_person_counts_by_the_name_that_it_gets(meeting):
    case = KnownConversation(meeting, {"ann": b"", "bob": b"", "eva": b""})
    found = [
        SpeakerTurn(start_s=0, end_s=3, speaker=0, reference=0),
        SpeakerTurn(start_s=4, end_s=6, speaker=1, reference=2),
        SpeakerTurn(start_s=6, end_s=7, speaker=2, reference=1),
        SpeakerTurn(start_s=7, end_s=10, speaker=3),
    ]

    result = named(case, found)

    assert (result.known_s, result.right_s, result.as_another_s, result.without_turn_s) == (6, 3, 2, 1)
    assert (result.stranger_s, result.stranger_named_s) == (4, 1)


def test_times_in_which_two_people_speak_have_no_right_name():
    both = Conversation("both", np.zeros(160_000, np.float32), ((0.0, 6.0, "ann"), (4.0, 10.0, "bob")))
    found = [SpeakerTurn(start_s=0, end_s=10, speaker=0, reference=0)]

    result = named(KnownConversation(both, {"ann": b""}), found)

    assert (result.known_s, result.right_s) == (4, 4)
    assert (result.stranger_s, result.stranger_named_s) == (4, 4)


def test_the_interval_of_a_difference_is_of_pairs_on_the_same_recordings():
    # Their rates differ widely between the recordings, and the differences do not.
    right = [score(truth, ALL_RIGHT, 10, 0) for truth in (TRUTH, TRUTH[1:], TRUTH[:2])]
    same = [score(truth, ALL_RIGHT, 10, 0) for truth in (TRUTH, TRUTH[1:], TRUTH[:2])]
    worse = [score(truth, ALL_ONE, 10, 0) for truth in (TRUTH, TRUTH[1:], TRUTH[:2])]

    assert interval(right, same) == (0, 0)
    assert interval(right)[0] < interval(right)[1]
    assert interval(right, worse)[1] < 0
    assert error_rate(right) < error_rate(worse)


def test_a_script_answers_each_request_whatever_else_it_prints(tmp_path):
    source = (
        "import sys, json\nprint('answer {}', flush=True)\n"
        "for line in sys.stdin:\n print('chatter')\n print('answer', line, flush=True)\n"
    )

    with ScriptProcess([sys.executable, "-c", source], tmp_path / "log") as script:
        assert script.call({"file": "a"}) == {"file": "a"}
        assert script.call({"file": "b"}) == {"file": "b"}


def test_a_script_that_ends_early_shows_the_end_of_its_output(tmp_path):
    with pytest.raises(ScriptError, match="no such library"):
        ScriptProcess([sys.executable, "-c", "raise SystemExit('no such library')"], tmp_path / "log")

"""The stack of `deploy/swarm` on a real Swarm: scaled, updated and with lost tasks, while two keys send mixed load."""

import asyncio

import pytest
from services import free_port
from swarm_stack import log_lines_of, running_stack
from swarm_trial import Trial, run_trial, table

pytestmark = pytest.mark.docker


def test_no_accepted_request_is_lost_while_the_stack_is_scaled_updated_and_loses_tasks(capsys):
    with running_stack(free_port(), engines=1) as stack:
        trial = Trial(stack.url)
        asyncio.run(run_trial(trial, short=True))
        served = log_lines_of("gateway", '"method": "POST"')

    with capsys.disabled():
        print(f"\n{table(trial)}")
    assert trial.lost() == []
    assert all(trial.right(kind) > 0 for kind in ("clip", "recording", "turn"))
    assert len(served) == 2  # gateways behind the one port
    assert all(served)

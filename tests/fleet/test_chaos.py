"""A short run of `tests/chaos.py`. The long run is a command: `uv run python tests/chaos.py --seconds 600`."""

import chaos
import pytest
from services import running_fleet

SECONDS, SEED = 60.0, 7


@pytest.fixture(scope="module")
def own_fleet(sensevoice_python, mlx_python, tmp_path_factory):
    folder = tmp_path_factory.mktemp("chaos")
    with running_fleet(folder, sensevoice_python, mlx_python, with_speakers=True) as fleet:
        yield fleet


async def test_every_request_and_every_turn_ends_with_the_right_text_or_a_clear_error_while_services_die(own_fleet):
    run = await chaos.chaos(own_fleet, SECONDS, SEED)
    print(chaos.table(run))  # noqa: T201

    assert chaos.wrong(run) == []
    assert run.outcomes["clip", chaos.RIGHT]
    assert run.outcomes["session with commits", chaos.RIGHT]
    assert run.outcomes["session with detected turns", chaos.RIGHT]
    assert run.outcomes["speakers", chaos.RIGHT]
    assert run.faults

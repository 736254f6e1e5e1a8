"""Half a minute of `tests/chaos.py`; ten of them are a command: `uv run python tests/chaos.py --seconds 600`."""

import chaos
import pytest

SECONDS, SEED = 35.0, 7


@pytest.fixture(scope="module")
def own_fleet(sensevoice_python, mlx_python, tmp_path_factory):
    with chaos.running_fleet(tmp_path_factory.mktemp("chaos")) as fleet:
        yield fleet


async def test_every_request_ends_in_the_right_text_or_a_clear_error_whatever_dies(own_fleet):
    counts, faults = await chaos.run(own_fleet, SECONDS, SEED)
    print(chaos.table(counts, faults))  # noqa: T201

    assert chaos.wrong(counts) == []
    assert chaos.RIGHT in {what for _, what in counts}
    assert faults

"""What is said of weights that are missing, cut off or changed."""

from pathlib import Path

import pytest
from checkpoints import SEGMENTATION, VOICE, random_weights
from rapl_protocol.models import ModelState
from rapl_speakers.weights import SpeakerWeights, WeightsFile, WeightsUnusable


def test_missing_weights_are_absent_with_the_remedy(tmp_path: Path):
    status = SpeakerWeights(tmp_path).look()

    assert status.state is ModelState.ABSENT
    assert "./rapl up --speakers" in (status.remedy or "")


def test_a_file_with_another_size_is_not_there(tmp_path: Path):
    weights = random_weights(tmp_path)
    size = weights.voice.stat().st_size

    def state(expected: int) -> ModelState | None:
        return SpeakerWeights(tmp_path, WeightsFile(VOICE.name, expected), (SEGMENTATION,)).look().state

    assert state(size) is None
    assert state(size + 1) is ModelState.ABSENT


def test_a_file_with_another_hash_is_refused_by_its_name(tmp_path: Path):
    random_weights(tmp_path)
    weights = SpeakerWeights(tmp_path, WeightsFile(VOICE.name, sha256="0" * 64), (SEGMENTATION,))

    with pytest.raises(WeightsUnusable, match=VOICE.name):
        weights.verify()


async def test_weights_that_arrive_are_loaded_without_a_restart(serving, tmp_path: Path):
    async with serving(SpeakerWeights(tmp_path, VOICE, (SEGMENTATION,))) as speakers:
        await speakers.wait_for_state("absent")
        random_weights(tmp_path)
        await speakers.wait_for_state("ready")


async def test_weights_of_another_network_fail_with_a_reason(serving, tmp_path: Path):
    weights = random_weights(tmp_path)
    weights.voice.write_bytes((weights.folder / SEGMENTATION.name).read_bytes())

    async with serving(weights) as speakers:
        await speakers.wait_for_state("failed")

        [info] = (await speakers.http.get("/v1/models")).json()["models"]
        assert "other networks" in info["reason"]

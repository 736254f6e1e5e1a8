"""A browser uses the page, in front of every service with published weights, on people's recordings."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from javascript import JavaScript
from page_gateways import BROWSER
from page_recordings import write_pcm
from rapl_bench.groups.speakers.people import people_of
from rapl_bench.real.models import TINY_EN, RealModel
from rapl_bench.real.packages import RealPackages
from rapl_bench.real.recordings import RealRecordings
from rapl_bench.real.speaker_weights import speaker_weights
from rapl_protocol.audio import SAMPLE_RATE_HZ
from real_fleet import running_gateway
from services import ServiceProcess

pytestmark = pytest.mark.real

PAUSE = np.zeros(SAMPLE_RATE_HZ // 2, np.float32)


@pytest.fixture
def two_people(tmp_path: Path, recordings: RealRecordings) -> Path:
    """A recording in which one person speaks for eight seconds, and then another one."""
    people = {person.name: person.samples[: 8 * SAMPLE_RATE_HZ] for person in people_of(recordings)}
    samples = np.concatenate([people["asterisk-en"], PAUSE, people["asterisk-it"]])
    return write_pcm(tmp_path / "two people.wav", (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def test_the_page_tells_two_people_apart(
    tmp_path: Path, engines: Sequence[str], models: dict[str, RealModel], packages: RealPackages, two_people: Path
):
    weights = {"RAPL_SPEAKERS_MODEL_DIR": str(speaker_weights(packages))}
    with (
        ServiceProcess(sys.executable, "rapl_speakers", "RAPL_SPEAKERS_PORT", tmp_path / "speakers", **weights) as each,
        running_gateway(tmp_path, engines, models, RAPL_SPEAKERS_URL=each.url) as fleet,
    ):
        environ = {
            "CHROMIUM": os.environ.get("CHROMIUM") or shutil.which("chromium") or "",
            "READY": fleet.url,
            "MODEL": TINY_EN,
            "RECORDING_SAMPLE": str(two_people),
        }
        JavaScript(BROWSER).run("--test", "people.test.mjs", **environ)

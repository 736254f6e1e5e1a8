from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from checkpoints import random_weights
from rapl_speakers.app import speakers_app
from rapl_speakers.engine.people import Rules
from rapl_speakers.service import SpeakerService
from rapl_speakers.settings import Settings
from rapl_speakers.weights import SpeakerWeights
from speakers_client import Speakers


@pytest.fixture
def serving() -> Callable[..., object]:
    """Runs the service with these weights."""

    @asynccontextmanager
    async def run(weights: SpeakerWeights, max_requests: int = 4) -> AsyncIterator[Speakers]:
        service = SpeakerService(weights, Rules(), threads=1, max_requests=max_requests)
        app = speakers_app(service, Settings(metrics="clients"))
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost", timeout=60) as http,
        ):
            yield Speakers(http, weights)

    return run


@pytest.fixture
async def speakers(serving, tmp_path: Path):
    """The service with small random networks, which are loaded."""
    async with serving(random_weights(tmp_path)) as speakers:
        await speakers.wait_for_state("ready")
        yield speakers

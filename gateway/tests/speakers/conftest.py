from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from rapl_service.testing import FakeSpeakerService
from speakers.conversation import TWO, Talker


@pytest.fixture
async def fleet(start: Callable[..., Awaitable[Any]], speakers: FakeSpeakerService) -> Any:
    """A gateway with a stand-in for speaker-service that hears two people."""
    speakers.turns = TWO
    return await start(Talker(), speakers_url=speakers.url)

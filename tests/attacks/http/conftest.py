"""A gateway on a real socket in front of a fake engine."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from rapl_gateway.app import create_app
from rapl_gateway.settings import Settings
from rapl_protocol.testing import FakeTranscriber
from rapl_service.engine_app import transcriber_app
from rapl_service.http.websocket import GuardedWebSocket
from rapl_service.testing import served
from raw_http import Target

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
async def attack(tmp_path) -> AsyncIterator[Callable[..., Awaitable[Target]]]:
    async with AsyncExitStack() as stack:

        async def start(**settings: object) -> Target:
            engine = FakeTranscriber("iic/SenseVoiceSmall", "mlx-community/known", text="text")
            url = await stack.enter_async_context(served(transcriber_app(engine)))
            given = {"root": tmp_path, "preprocess_url": NOWHERE, "sensevoice_url": url, "mlx_url": url}
            gateway = await stack.enter_async_context(
                served(create_app(Settings(**{**given, **settings})), GuardedWebSocket)
            )
            return Target(gateway, engine)

        yield start


@pytest.fixture
async def target(attack: Callable[..., Awaitable[Target]]) -> Target:
    return await attack()

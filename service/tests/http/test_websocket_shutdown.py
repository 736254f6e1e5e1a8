"""A service that stops: WebSockets are closed at once, except those whose routes close them."""

import asyncio
from contextlib import AsyncExitStack

from rapl_service.http.websocket import ON_SHUTDOWN, GuardedWebSocket
from rapl_service.testing import served
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect


async def says_goodbye(websocket: WebSocket) -> None:
    stopping = asyncio.Event()
    websocket.scope[ON_SHUTDOWN].append(stopping.set)
    await websocket.accept()
    await stopping.wait()
    await websocket.send_text("goodbye")
    await websocket.close(1012, "stopping")


async def waits(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.receive_text()


APP = Starlette(routes=[WebSocketRoute("/goodbye", says_goodbye), WebSocketRoute("/waits", waits)])


async def test_a_route_may_finish_its_work_before_it_closes_its_connection():
    async with AsyncExitStack() as service:
        url = await service.enter_async_context(served(APP, GuardedWebSocket))
        async with connect(f"{url.replace('http', 'ws')}/goodbye") as websocket:
            stopped = asyncio.create_task(service.aclose())
            received = await websocket.recv()
            await websocket.wait_closed()
            await stopped

    assert received == "goodbye"
    assert (websocket.close_code, websocket.close_reason) == (1012, "stopping")


async def test_another_connection_is_closed_at_once():
    async with AsyncExitStack() as service:
        url = await service.enter_async_context(served(APP, GuardedWebSocket))
        async with connect(f"{url.replace('http', 'ws')}/waits") as websocket:
            await service.aclose()
            await websocket.wait_closed()

    assert websocket.close_code == 1012

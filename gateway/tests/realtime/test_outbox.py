import asyncio
import json
from typing import Any, cast

from rapl_gateway.realtime.outbox import MAX_WAITING_BYTES, Outbox
from rapl_gateway.realtime.rules.commands import Close, EndedBy


class SlowSocket:
    """A WebSocket whose client reads only when the test says so."""

    def __init__(self) -> None:
        self.may_send = asyncio.Event()
        self.sent: list[dict[str, Any]] = []
        self.closed: tuple[int, str] | None = None

    async def send_text(self, text: str) -> None:
        await self.may_send.wait()
        self.sent.append(json.loads(text))

    async def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)


async def test_events_are_sent_in_order_and_then_the_connection_is_closed():
    socket = SlowSocket()
    outbox = Outbox(cast("Any", socket))
    sending = asyncio.create_task(outbox.run())
    for number in range(3):
        outbox.put({"number": number})
    outbox.put_close(Close(EndedBy.IDLE, "the end"))
    outbox.put({"number": 3})
    socket.may_send.set()
    await sending

    assert socket.sent == [{"number": 0}, {"number": 1}, {"number": 2}]
    assert socket.closed == (1001, "the end")


async def test_a_client_that_does_not_read_is_disconnected_and_what_waits_is_bounded():
    socket = SlowSocket()
    outbox = Outbox(cast("Any", socket))
    event = {"text": "x" * (MAX_WAITING_BYTES // 4)}
    for _ in range(100):
        outbox.put(event)
    socket.may_send.set()
    await outbox.run()

    assert socket.closed == (1008, "the client does not read its events")
    assert len(socket.sent) < 5

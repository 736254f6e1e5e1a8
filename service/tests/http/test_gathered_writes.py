"""A response is sent in one packet, and completely."""

import asyncio

import pytest
from rapl_service.http.gathered import GatheredWrites


class RecordedTransport(asyncio.Transport):
    """Keeps the packets that would be sent; a real transport may join two by chance."""

    def __init__(self) -> None:
        super().__init__()
        self.packets: list[bytes | str] = []

    def write(self, data) -> None:
        self.packets.append(bytes(data))

    def close(self) -> None:
        self.packets.append("closed")


@pytest.fixture
def transport() -> RecordedTransport:
    return RecordedTransport()


async def test_what_is_written_in_one_turn_of_the_event_loop_is_one_packet(transport):
    gathered = GatheredWrites(transport)
    gathered.write(b"head")
    gathered.write(b"body")
    await asyncio.sleep(0)

    assert transport.packets == [b"headbody"]


async def test_what_is_written_later_is_another_packet(transport):
    gathered = GatheredWrites(transport)
    gathered.write(b"one event")
    await asyncio.sleep(0)
    gathered.write(b"the next")
    await asyncio.sleep(0)

    assert transport.packets == [b"one event", b"the next"]


async def test_a_connection_is_closed_after_what_was_written(transport):
    gathered = GatheredWrites(transport)
    gathered.write(b"the last word")
    gathered.close()
    await asyncio.sleep(0)

    assert transport.packets == [b"the last word", "closed"]


async def test_a_whole_answer_is_sent_at_once(transport):
    gathered = GatheredWrites(transport)
    gathered.write(b"answer")
    gathered.flush()

    assert transport.packets == [b"answer"]

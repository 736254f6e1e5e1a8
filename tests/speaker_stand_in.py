"""A stand-in for speaker-service on a real port, for tests with real clients: it is told its turns."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rapl_protocol.speakers import SpeakerTurn
from rapl_service.testing import FakeSpeakerService, served


@contextmanager
def speaker_stand_in(*turns: tuple[float, float, int], reference_of: int | None = None) -> Iterator[FakeSpeakerService]:
    """Serves a stand-in in a thread.

    Args:
        turns: the start, the end and the speaker of each turn.
        reference_of: the speaker that is the known one, if a request has one.
    """
    service = FakeSpeakerService()
    service.turns = tuple(
        SpeakerTurn(start_s=start_s, end_s=end_s, speaker=speaker, reference=0 if speaker == reference_of else None)
        for start_s, end_s, speaker in turns
    )
    is_serving, may_end = threading.Event(), threading.Event()

    async def serve() -> None:
        async with served(service.app()) as service.url:
            is_serving.set()
            await asyncio.to_thread(may_end.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert is_serving.wait(10)
        yield service
    finally:
        may_end.set()
        thread.join()

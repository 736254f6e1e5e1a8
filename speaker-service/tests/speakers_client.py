"""A client of speaker-service in this process."""

import asyncio
import time
from dataclasses import dataclass

import httpx
from rapl_protocol.speakers import DiarizationEvent, encode_diarization_event
from rapl_speakers.weights import SpeakerWeights

TIMEOUT_S = 120.0


def encoded(*events: DiarizationEvent) -> bytes:
    return b"".join(piece for event in events for piece in encode_diarization_event(event))


@dataclass
class Speakers:
    http: httpx.AsyncClient
    weights: SpeakerWeights

    async def diarize(self, *events: DiarizationEvent) -> httpx.Response:
        return await self.http.post("/v1/diarizations", content=encoded(*events))

    async def state(self) -> str:
        return (await self.http.get("/v1/models")).json()["models"][0]["state"]

    async def wait_for_state(self, state: str) -> None:
        until = time.monotonic() + TIMEOUT_S
        while (found := await self.state()) != state:
            assert time.monotonic() < until, f"waited {TIMEOUT_S:g} s for {state}; it is {found}"
            await asyncio.sleep(0.02)

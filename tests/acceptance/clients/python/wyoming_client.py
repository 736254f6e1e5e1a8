"""wyoming-openai on /v1/realtime: wyoming_client.py URL KEY PORT MODELS FILE... -> its turns by model as JSON.

This program is what Home Assistant is for it: a client of its Wyoming protocol at PORT. Each file is one turn.
"""

import asyncio
import json
import sys

from turns import RATE_HZ, audio_of, spoken
from wyoming.asr import Transcribe, Transcript, TranscriptChunk
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient

START_LIMIT_S = 60.0
FORMAT = {"rate": RATE_HZ, "width": 2, "channels": 1}


async def connected(port: int) -> AsyncTcpClient:
    """A client of the server, once the server listens."""
    async with asyncio.timeout(START_LIMIT_S):
        while True:
            client = AsyncTcpClient("127.0.0.1", port, read_timeout=START_LIMIT_S)
            try:
                await client.connect()
                return client
            except ConnectionRefusedError:
                await asyncio.sleep(0.1)


async def turn(port: int, model: str, audio: bytes) -> dict[str, str]:
    client = await connected(port)
    await client.write_event(Transcribe(name=model, language="en").event())
    await client.write_event(AudioStart(**FORMAT).event())
    async for piece in spoken(audio):
        await client.write_event(AudioChunk(audio=piece, **FORMAT).event())
    await client.write_event(AudioStop().event())
    chunks = ""
    while event := await client.read_event():
        if TranscriptChunk.is_type(event.type):
            chunks += TranscriptChunk.from_event(event).text
        elif Transcript.is_type(event.type):
            await client.disconnect()
            return {"transcript": Transcript.from_event(event).text, "deltas": chunks}
    raise ConnectionError("wyoming-openai closed the connection")


async def main() -> None:
    url, key, port, models, *files = sys.argv[1:]
    names = models.split(",")
    arguments = ["--uri", f"tcp://127.0.0.1:{port}", "--stt-openai-url", url, "--stt-openai-key", key]
    arguments += ["--stt-realtime-models", *names, "--languages", "en"]
    server = await asyncio.create_subprocess_exec(sys.executable, "-m", "wyoming_openai", *arguments, stdout=sys.stderr)
    try:
        turns = await asyncio.gather(*(turn(int(port), name, audio_of([file])) for name in names for file in files))
    finally:
        server.terminate()
        await server.wait()
    found = iter(turns)
    print(json.dumps({name: [next(found) for _ in files] for name in names}))


asyncio.run(main())

"""livekit on /v1/realtime: livekit_client.py URL KEY MODELS FILE... -> its turns by model and mode as JSON.

In the mode `client` livekit's own Silero finds the ends of turns, and the plugin for OpenAI commits them. It does so
for two names of OpenAI only, so MODELS has pairs: MODEL=NAME, where NAME is what the gateway calls the model there.
"""

import asyncio
import sys

from livekit import rtc
from livekit.agents import stt
from livekit.agents.utils import http_context
from livekit.plugins import openai
from turns import RATE_HZ, Turns, audio_of, run_all, spoken


async def read(stream: stt.SpeechStream, turns: Turns) -> None:
    """Keeps the turns. Livekit joins the deltas itself, and shows them at most twice a second."""
    shown: list[str] = []
    try:
        async for event in stream:
            if event.type == stt.SpeechEventType.INTERIM_TRANSCRIPT:
                shown.append(event.alternatives[0].text)
            elif event.type == stt.SpeechEventType.FINAL_TRANSCRIPT:
                turns.add({"transcript": event.alternatives[0].text, "shown": shown})
                shown = []
    except Exception as error:
        turns.fail(repr(error))
        raise


async def session(url: str, key: str, pair: str, mode: str, files: list[str]) -> dict[str, object]:
    model, name = pair.split("=")
    turns, audio = Turns(len(files)), audio_of(files)
    plugin = openai.STT(base_url=url, api_key=key, model=name if mode == "client" else model, use_realtime=True)
    async with plugin.stream() as stream:
        reader = asyncio.create_task(read(stream, turns))
        async for piece in spoken(audio):
            stream.push_frame(rtc.AudioFrame(piece, RATE_HZ, 1, len(piece) // 2))
        result = await turns.all()
        stream.end_input()
        reader.cancel()
    await plugin.aclose()
    return result


async def main() -> None:
    url, key, pairs, *files = sys.argv[1:]
    async with http_context.open():
        await run_all(pairs, lambda pair, mode: session(url, key, pair, mode, files))


asyncio.run(main())

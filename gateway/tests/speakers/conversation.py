"""A conversation of two people, an engine that writes what they say, and requests that ask who says it."""

import asyncio
import base64

import httpx
from rapl_protocol.audio import WavAudio
from rapl_protocol.models import Capabilities
from rapl_protocol.speakers import SpeakerTurn
from rapl_protocol.testing import FakeTranscriber, make_tone
from rapl_protocol.transcript import Word

DIARIZING = "gpt-4o-transcribe-diarize"
CLIP = make_tone(3.0)
NOWHERE = "http://127.0.0.1:9"


def first(number: int) -> str:
    return f"The people in the first half say hello {number},"


def second(number: int) -> str:
    return f"and those in the second half say goodbye {number}."


class Talker(FakeTranscriber):
    """An engine that writes two halves of a sentence, with the times of words: from 0.5 s and from 5 s on. Without the
    times of words it writes the first half."""

    def __init__(self, *, words: bool = True, streams: bool = False) -> None:
        super().__init__(
            "iic/SenseVoiceSmall",
            text="The people in the first half say hello {n},"
            + (" and those in the second half say goodbye {n}." if words else ""),
            streams=streams,
            capabilities=Capabilities(word_timestamps=words, prompt=True),
        )

    async def transcribe(self, audio, options, on_text=None):
        transcript = await super().transcribe(audio, options, on_text)
        if not options.word_timestamps:
            return transcript
        spoken = transcript.text.split()
        starts_s = [0.5 + 0.35 * n if n < 9 else 5.0 + 0.35 * (n - 9) for n in range(len(spoken))]
        words = tuple(
            Word(word=word.strip(",."), start_s=start_s, end_s=start_s + 0.3)
            for word, start_s in zip(spoken, starts_s, strict=True)
        )
        [segment] = transcript.segments
        return transcript.model_copy(update={"segments": (segment.model_copy(update={"words": words}),)})


def turns(*times: tuple[float, float, int], references: dict[int, int] | None = None) -> tuple[SpeakerTurn, ...]:
    return tuple(
        SpeakerTurn(start_s=start_s, end_s=end_s, speaker=who, reference=(references or {}).get(who))
        for start_s, end_s, who in times
    )


TWO = turns((0.0, 4.0, 0), (5.0, 13.0, 1), (14.0, 18.0, 0))
"""Two people in two segments of 9 s: the first one begins and ends."""
SAID = [("A", first(1)), ("B", second(1)), ("B", first(2)), ("A", second(2))]
TEXT = " ".join(text for _, text in SAID)


async def diarize(fleet, file: bytes = b"SPEECH:2", **fields) -> httpx.Response:
    return await fleet.transcribe(file, **({"response_format": "diarized_json"} | fields))


def said(answer: httpx.Response) -> list[tuple[str, str]]:
    return [(each["speaker"], each["text"]) for each in answer.json()["segments"]]


def data_url(audio: WavAudio = CLIP, kind: bytes = b"CLIP:") -> str:
    return "data:audio/wav;base64," + base64.b64encode(kind + audio.to_wav()).decode()


async def replicas(fleet) -> dict[str, str]:
    """The state of each process by its port."""
    found = (await fleet.http.get("/v1/status")).json()["speakers"]["replicas"]
    return {each["host"].rpartition(":")[2]: each["state"] for each in found}


async def reached(fleet) -> None:
    """Waits until the gateway has an answer of each process of speaker-service."""
    async with asyncio.timeout(20):
        while {*(await replicas(fleet)).values()} != {"ok"}:  # noqa: ASYNC110 (another process answers)
            await asyncio.sleep(0.02)

"""Realtime sessions that speak while services die, and what their clients must get.

Every turn that was committed ends in its text or in `failed`, unless the gateway itself was killed.
"""

import asyncio
import base64
import contextlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rapl_protocol.audio import BYTES_PER_SECOND, WavAudio
from services import DIGITS, SAMPLE, SAMPLE_TEXTS, SELFTEST
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

PIECE_S = 0.1
SILENCE_S = 1.5
"""After each turn that the server has to detect."""
TEXT_ENDS = (".completed", ".failed")


@dataclass(frozen=True)
class Speaker:
    """One kind of session."""

    kind: str
    model: str
    is_detected: bool = False
    """Whether the server finds the turns; if not, the client commits them."""
    speed: float = 1.0
    """Seconds of audio that are sent in a second."""
    turns: int = 3


SPEAKERS = (
    Speaker("session with commits", SELFTEST),
    Speaker("session with commits on mlx", DIGITS),
    Speaker("session with detected turns", SELFTEST, is_detected=True),
    Speaker("session that sends all at once", SELFTEST, speed=1000.0),
)


@dataclass
class Heard:
    """What the client of one session sent and received."""

    speaker: Speaker
    events: list[dict[str, Any]] = field(default_factory=list)
    has_asked_for_the_end: bool = False
    close: int | None = None
    """The code with which the server closed the connection; None if the client did; 1006 if the connection was lost."""

    def of(self, *ends: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"].endswith(ends)]

    @property
    def is_done(self) -> bool:
        """Whether all that was sent has come back, and every turn has ended."""
        return bool(self.of("cleared")) and len(self.of(*TEXT_ENDS)) == len(self.of(".committed"))

    @property
    def was_cut_short(self) -> bool:
        """Whether the session ended before its client had what it sent. The close code or an error says so."""
        return self.close is not None or bool(self.of("error"))


async def speak(url: str, speaker: Speaker, dice: random.Random, deadline_s: float, **headers: str) -> Heard:
    """Speaks the sample several times in one session.

    Args:
        url: of the gateway.
        speaker: how.
        dice: for the pauses between turns.
        deadline_s: seconds in which everything must have ended.
        headers: of the handshake.

    Raises:
        TimeoutError: something did not end.
        OSError, InvalidHandshake: the session was not accepted.
    """
    heard = Heard(speaker)
    async with asyncio.timeout(deadline_s):
        address = f"{url.replace('http', 'ws')}/v1/realtime"
        async with connect(address, additional_headers=headers, proxy=None, max_size=None) as socket:
            listening = asyncio.create_task(_listen(socket, heard))
            with contextlib.suppress(ConnectionClosed):
                await _send_turns(socket, speaker, dice)
            await listening
    return heard


async def _listen(socket: ClientConnection, heard: Heard) -> None:
    try:
        while not heard.is_done:
            heard.events.append(json.loads(await socket.recv()))
    except ConnectionClosed as closed:
        heard.close = closed.rcvd.code if closed.rcvd else 1006


async def _send_turns(socket: ClientConnection, speaker: Speaker, dice: random.Random) -> None:
    given = {
        "format": {"type": "audio/pcm", "rate": 16_000},
        "transcription": {"model": speaker.model},
        "turn_detection": {"type": "server_vad"} if speaker.is_detected else None,
    }
    await _send(socket, "session.update", session={"type": "transcription", "audio": {"input": given}})
    speech = bytes(WavAudio.from_wav(SAMPLE.read_bytes()).pcm)
    silence = bytes(int(SILENCE_S * BYTES_PER_SECOND)) if speaker.is_detected else b""
    for _ in range(speaker.turns):
        for piece in _pieces(speech + silence):
            await _send(socket, "input_audio_buffer.append", audio=base64.b64encode(piece).decode())
            await asyncio.sleep(PIECE_S / speaker.speed)
        if not speaker.is_detected:
            await _send(socket, "input_audio_buffer.commit")
        await asyncio.sleep(dice.uniform(0, 1) / speaker.speed)
    await _send(socket, "input_audio_buffer.clear")  # its answer comes after all turns were committed


async def _send(socket: ClientConnection, name: str, **fields: object) -> None:
    await socket.send(json.dumps({"type": name, **fields}))


def _pieces(pcm: bytes) -> Iterator[bytes]:
    size = int(PIECE_S * BYTES_PER_SECOND)
    return (pcm[at : at + size] for at in range(0, len(pcm), size))


def broken_promise(heard: Heard, *, gateway_was_killed: bool) -> str | None:
    """What is wrong with what a client heard; None if nothing is."""
    items = [event["item_id"] for event in heard.of(".committed")]
    ended = [event["item_id"] for event in heard.of(*TEXT_ENDS)]
    if len({*items}) != len(items) or len({*ended}) != len(ended) or not {*ended} <= {*items}:
        return "an item was committed or ended twice, or ended without a commit"
    if [event["previous_item_id"] for event in heard.of(".committed")] != [None, *items][: len(items)]:
        return "the items do not name the ones before them"
    for event in heard.of(".completed"):
        deltas = [each["delta"] for each in heard.of(".delta") if each["item_id"] == event["item_id"]]
        if "".join(deltas) != event["transcript"]:
            return "the deltas of an item are not its transcript"
    if gateway_was_killed:
        return None
    if len(ended) != len(items):
        return f"a committed turn did not end; the connection was closed with {heard.close}"
    if heard.close not in (None, 1012) and not (heard.close == 1011 and heard.of("error")):
        return f"the connection was closed with {heard.close}"
    return None


def wrong_texts(heard: Heard) -> str | None:
    """The words that differ from what was spoken; None if there are none. If the session was cut short, the last turn
    may be so too, and its last word may be cut in two."""
    sample = words_of(SAMPLE_TEXTS[heard.speaker.model])
    if heard.speaker.is_detected:
        # One after the other, because a pause may end a turn in the middle of the sample.
        if heard.of(".failed"):
            return None
        texts = [words_of(" ".join(_transcript(heard, event["item_id"]) for event in heard.of(".committed")))]
        expected = [sample * heard.speaker.turns]
    else:
        texts = [words_of(event["transcript"]) for event in heard.of(".completed")]
        expected = [sample] * len(texts)
    for text, right in zip(texts, expected, strict=True):
        is_beginning = heard.was_cut_short and text[:-1] == right[: len(text[:-1])]
        if text != right and not is_beginning:
            return repr(" ".join(text)[:200])
    return None


def _transcript(heard: Heard, item_id: str) -> str:
    return next((each["transcript"] for each in heard.of(".completed") if each["item_id"] == item_id), "")


def words_of(text: str) -> list[str]:
    return text.replace(".", "").split()

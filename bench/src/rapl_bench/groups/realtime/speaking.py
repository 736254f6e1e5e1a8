"""Plays a recording to a server as a microphone would, and notes when its text arrives."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
import numpy as np
from rapl_protocol.audio import BYTES_PER_SECOND, SAMPLE_RATE_HZ, WavAudio
from websockets.asyncio.client import ClientConnection, connect

_PIECE_BYTES = BYTES_PER_SECOND // 20
"""What is sent at once: 50 ms, as LiveKit's plugin does."""
_LIMIT_S = 120.0
_QUIETEST_S = 0.2
_FRAME_SAMPLES = SAMPLE_RATE_HZ // 50
_SOUND = 20
"""A frame has sound if it is louder than this fraction of the loud ones."""


class SessionFailed(Exception):
    """The server sent an error, or ended the session without a text."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a listener got of one recording. Times are in seconds."""

    audio_s: float
    """Length of the recording."""
    text: str
    first_s: float | None
    """From the first audio to the first text that is not taken back; None if none came before the end."""
    sent_before_end: int
    """Characters of it that came before the last sample of the recording was sent."""
    after_stop_s: float
    """From the moment at which the user stops to the whole text."""
    disagreed: int | None = None
    settled: int | None = None
    """Words that were sent before the end, and how many of them the final pass has otherwise; None if unknown."""

    @property
    def unsettled_s(self) -> float:
        """About how many seconds of the recording had no text when it ended, by its share of the characters."""
        return self.audio_s * (1 - self.sent_before_end / len(self.text)) if self.text else 0.0


class Listener(Protocol):
    """Listens to a recording of s16le samples with 16 kHz, which may be played by several callers at the same time."""

    async def listen(self, pcm: bytes) -> Spoken: ...


class RealtimeSession:
    """A session of `/v1/realtime` without turn detection.

    Args:
        url: of the gateway.
        model: the model's id.
        pause_s: seconds of room noise between the recording and the commit.
        request_id: by which the gateway's log names the turns of the session.
    """

    def __init__(self, url: str, model: str, pause_s: float, request_id: str) -> None:
        self._url = f"{url.replace('http', 'ws')}/v1/realtime?intent=transcription"
        self._input = {
            "format": {"type": "audio/pcm", "rate": SAMPLE_RATE_HZ},
            "transcription": {"model": model},
            "turn_detection": None,
        }
        self._pause_s = pause_s
        self._request_id = request_id

    async def listen(self, pcm: bytes) -> Spoken:
        """Raises: SessionFailed."""
        headers = {"x-request-id": self._request_id}
        async with connect(self._url, additional_headers=headers) as socket, asyncio.timeout(_LIMIT_S):
            await _send(socket, "session.update", session={"type": "transcription", "audio": {"input": self._input}})
            began, received = time.perf_counter(), _Received()
            reading = asyncio.create_task(self._read(socket, received))
            await _play(pcm, lambda piece: _append(socket, piece))
            sent_before_end = len(received.text)
            await _play(room_noise(pcm, self._pause_s), lambda piece: _append(socket, piece))
            stopped = time.perf_counter()
            await _send(socket, "input_audio_buffer.commit")
            text = await reading
            ended = time.perf_counter()
        first_s = received.first_at - began if received.first_at else None
        return Spoken(len(pcm) / BYTES_PER_SECOND, text, first_s, sent_before_end, ended - stopped)

    async def _read(self, socket: ClientConnection, received: "_Received") -> str:
        async for message in socket:
            event = json.loads(message)
            match event["type"].rpartition(".")[2]:
                case "delta":
                    received.add(event["delta"])
                case "completed":
                    return event["transcript"]
                case "failed" | "error":
                    raise SessionFailed(f"the session failed: {event['error']}")
        raise SessionFailed("the session ended without a text")


class WhisperLiveKitSession:
    """A session of WhisperLiveKit's own WebSocket. Its lines are settled text, its buffer may still change."""

    def __init__(self, url: str) -> None:
        self._url = f"{url.replace('http', 'ws')}/asr"

    async def listen(self, pcm: bytes) -> Spoken:
        """Raises: SessionFailed."""
        async with connect(self._url) as socket, asyncio.timeout(_LIMIT_S):
            began, received = time.perf_counter(), _Received()
            reading = asyncio.create_task(self._read(socket, received))
            await _play(pcm, socket.send)
            sent_before_end, stopped = len(received.text), time.perf_counter()
            await socket.send(b"")
            await reading
        first_s = received.first_at - began if received.first_at else None
        audio_s = len(pcm) / BYTES_PER_SECOND
        return Spoken(audio_s, received.text, first_s, sent_before_end, max(0.0, received.last_at - stopped))

    async def _read(self, socket: ClientConnection, received: "_Received") -> None:
        """Ends at `ready_to_stop`. The last change of the text comes about a second earlier; that one counts."""
        async for message in socket:
            event = json.loads(message)
            if event.get("error"):
                raise SessionFailed(f"the session failed: {event['error']}")
            if event.get("type") == "ready_to_stop":
                return
            received.replace("".join(line["text"] for line in event.get("lines", ())).strip())
        raise SessionFailed("the session ended without a text")


class Upload:
    """A file that is sent when the person stops, as `/v1/audio/transcriptions` takes it."""

    def __init__(self, url: str, model: str) -> None:
        self._url = f"{url}/v1/audio/transcriptions"
        self._model = model

    async def listen(self, pcm: bytes) -> Spoken:
        """Raises: httpx.HTTPError."""
        audio, files = WavAudio(pcm), {"file": ("speech.wav", WavAudio(pcm).to_wav())}
        async with httpx.AsyncClient(timeout=_LIMIT_S) as http:
            stopped = time.perf_counter()
            answer = await http.post(self._url, data={"model": self._model}, files=files)
            answer.raise_for_status()
            took_s = time.perf_counter() - stopped
        return Spoken(audio.duration_s, answer.json()["text"], None, 0, took_s)


class _Received:
    """The settled text so far, and when it began and when it last changed."""

    def __init__(self) -> None:
        self.text = ""
        self.first_at: float | None = None
        self.last_at = 0.0

    def add(self, text: str) -> None:
        self.replace(self.text + text)

    def replace(self, text: str) -> None:
        if text != self.text:
            self.text, self.last_at = text, time.perf_counter()
            self.first_at = self.first_at or self.last_at


def room_noise(pcm: bytes, duration_s: float) -> bytes:
    """Samples (s16le, 16 kHz) of noise as loud as the quietest moment of a recording; always the same."""
    size = round(_QUIETEST_S * SAMPLE_RATE_HZ)
    samples = np.frombuffer(pcm, "<i2").astype(np.float32)
    moments = samples[: len(samples) // size * size].reshape(-1, size)
    level = np.sqrt(np.square(moments).mean(axis=1)).min() if len(moments) else 0.0
    return np.random.default_rng(0).normal(0, level, round(duration_s * SAMPLE_RATE_HZ)).astype("<i2").tobytes()


def until_last_sound(pcm: bytes) -> bytes:
    """The recording (s16le, 16 kHz) without the quiet audio at its end."""
    samples = np.abs(np.frombuffer(pcm, "<i2").astype(np.float32))
    levels = samples[: len(samples) // _FRAME_SAMPLES * _FRAME_SAMPLES].reshape(-1, _FRAME_SAMPLES).mean(axis=1)
    if not levels.any():
        return pcm
    last = np.flatnonzero(levels > np.percentile(levels, 95) / _SOUND)[-1]
    return pcm[: 2 * _FRAME_SAMPLES * (int(last) + 1)]


async def _play(pcm: bytes, send: Callable[[bytes], Any]) -> None:
    """Sends pieces of 50 ms, each when it has been recorded."""
    async for piece in _in_real_time(pcm):
        await send(piece)


async def _in_real_time(pcm: bytes) -> AsyncGenerator[bytes]:
    began = time.perf_counter()
    for at in range(0, len(pcm), _PIECE_BYTES):
        piece = pcm[at : at + _PIECE_BYTES]
        recorded_at = began + (at + len(piece)) / BYTES_PER_SECOND
        await asyncio.sleep(max(0.0, recorded_at - time.perf_counter()))
        yield piece


async def _append(socket: ClientConnection, piece: bytes) -> None:
    await _send(socket, "input_audio_buffer.append", audio=base64.b64encode(piece).decode())


async def _send(socket: ClientConnection, name: str, **fields: object) -> None:
    await socket.send(json.dumps({"type": name, **fields}))

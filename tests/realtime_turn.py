"""Speaks one turn into /v1/realtime, as fast as a person does."""

import base64
import json
import time
from typing import Any

from rapl_protocol.audio import WavAudio
from services import SAMPLE
from websockets.sync.client import connect

_PIECE_S, _SILENCE_S, _LIMIT_S = 0.1, 1.0, 30.0


def speak_turn(url: str, model: str, prompt: str | None = None, **headers: str) -> dict[str, Any]:
    """Speaks the sample in a session of its own; speech detection ends the turn.

    Args:
        url: base URL of the gateway.
        model: the model of the session.
        prompt: the prompt of the session.
        headers: of the handshake.

    Returns:
        The event `completed` or `failed` of the turn.
    """
    pcm = bytes(WavAudio.from_wav(SAMPLE.read_bytes()).pcm) + bytes(int(_SILENCE_S * 32_000))
    size = int(_PIECE_S * 32_000)
    address = url.replace("http", "ws", 1) + "/v1/realtime?intent=transcription"
    with connect(address, additional_headers=headers, compression=None, proxy=None) as socket:
        options = {"format": {"type": "audio/pcm", "rate": 16_000}, "transcription": {"model": model, "prompt": prompt}}
        options["turn_detection"] = {"type": "server_vad"}
        session = {"type": "transcription", "audio": {"input": options}}
        socket.send(json.dumps({"type": "session.update", "session": session}))
        for at in range(0, len(pcm), size):
            audio = base64.b64encode(pcm[at : at + size]).decode()
            socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
            time.sleep(_PIECE_S)
        while not (event := json.loads(socket.recv(_LIMIT_S)))["type"].endswith((".completed", ".failed")):
            pass
        return event

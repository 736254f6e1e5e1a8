"""The WebSocket /v1/live. Its messages are described in `rapl_protocol.live_audio`."""

import asyncio

from pydantic import ValidationError
from rapl_protocol.errors import ErrorCode, ServiceError, reason_of
from rapl_protocol.live_audio import Flush, LiveOptions, Resume, from_client
from rapl_service.http.scope import log_fields
from starlette.websockets import WebSocket, WebSocketDisconnect

from rapl_preprocess.live.detection import LiveDetection
from rapl_preprocess.live.session import LiveSession
from rapl_preprocess.live.stream import LiveStream

FIRST_MESSAGE_S = 10.0
"""How long a client may take for its first message."""
_RETRY_AFTER_S = 5
_INVALID, _POLICY, _FAILED = 1007, 1008, 1011
"""Close codes. Source: RFC 6455, 7.4.1. The server itself closes with 1009 after a message that is too long, and with
1012 when the service stops."""
_MAX_REASON_CHARACTERS = 100


class _Refused(Exception):
    """The client's message cannot be used."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


async def serve_live_audio(websocket: WebSocket, detection: LiveDetection, max_sessions: int) -> None:
    """Serves one session until one side closes it. Raises: ServiceError, OVERLOADED, before it is accepted."""
    if len(detection) >= max_sessions:
        message = "preprocess-service has too many sessions of live audio. Try again later."
        raise ServiceError(ErrorCode.OVERLOADED, message, retry_after_s=_RETRY_AFTER_S)
    await websocket.accept()
    try:
        stream = await _opened(websocket)
        try:
            with detection.session(stream) as session:
                await _exchange(websocket, detection, session)
        finally:
            log_fields(websocket)["audio_s"] = stream.duration_s
    except _Refused as error:
        await websocket.close(error.code, error.reason)


async def _opened(websocket: WebSocket) -> LiveStream:
    try:
        async with asyncio.timeout(FIRST_MESSAGE_S):
            first = await _received(websocket)
    except TimeoutError:
        raise _Refused(_POLICY, f"no message within {FIRST_MESSAGE_S:g} s") from None
    match first:
        case LiveOptions():
            return LiveStream(first)
        case Resume():
            try:
                return LiveStream.resumed(first.state)
            except ValueError as error:
                raise _Refused(_INVALID, reason_of(error)) from None
        case _:
            raise _Refused(_POLICY, "the first message must be options or resume")


async def _exchange(websocket: WebSocket, detection: LiveDetection, session: LiveSession) -> None:
    """Reads and writes until one side has finished."""
    writing = asyncio.create_task(_write(websocket, detection, session))
    reading = asyncio.create_task(_read(websocket, detection, session))
    try:
        await asyncio.wait((reading, writing), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (reading, writing):
            task.cancel()
        ends = await asyncio.gather(reading, writing, return_exceptions=True)
    failures = [end for end in ends if isinstance(end, Exception)]
    try:
        if failures:
            raise failures[0]
    finally:
        del reading, writing, ends, failures  # a traceback keeps this frame, which would keep the exception


async def _read(websocket: WebSocket, detection: LiveDetection, session: LiveSession) -> None:
    while True:
        message = await _received(websocket)
        if isinstance(message, Resume):
            raise _Refused(_POLICY, "only the first message may be resume")
        await session.put(message)
        detection.wake(at_once=not isinstance(message, bytes))


async def _write(websocket: WebSocket, detection: LiveDetection, session: LiveSession) -> None:
    while (output := await session.next_output()) is not None:
        if isinstance(output, bytes):
            await websocket.send_bytes(output)
        else:
            await websocket.send_text(output.model_dump_json())
        if session.is_ready:
            detection.wake()
    raise _Refused(_FAILED, "the session failed; the service's log has the cause")


async def _received(websocket: WebSocket) -> bytes | LiveOptions | Flush | Resume:
    """Raises: _Refused, or WebSocketDisconnect."""
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message["code"], message.get("reason"))
    if (audio := message.get("bytes")) is not None:
        return audio
    try:
        return from_client.validate_json(message["text"])
    except ValidationError as error:
        raise _Refused(_INVALID, reason_of(error)[:_MAX_REASON_CHARACTERS]) from None

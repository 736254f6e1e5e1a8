"""Calls the gateway's transcription endpoint. A file may have any size: it is read from disk while it is sent."""

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from rapl_cli.gateway_address import GatewayAddress
from rapl_cli.gateway_api import GatewayError, for_commands, unreachable, wrong_key
from rapl_cli.transcription.display import RecordingDisplay
from rapl_cli.transcription.model_wait import BatchAborted, ModelWait
from rapl_cli.transcription.recordings import MEDIA

RETRIES = 5
_PROGRESS_EVERY_S = 0.5
_OF_THE_MODEL = ("model_not_ready", "backend_unavailable")
"""Codes of errors after which the state of the model says whether another attempt makes sense."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 60.0


class _RetryLater(GatewayError):
    def __init__(self, reason: str, after_s: float = 0.0, code: str | None = None) -> None:
        super().__init__(reason)
        self.after_s = after_s
        self.code = code
        """The code of the gateway's error; None if it did not answer."""


@dataclass(frozen=True)
class Answer:
    body: bytes
    took_s: float
    """From the first byte sent to the last byte received."""
    problems: int = 0
    """Number of places whose text may be incomplete or wrong, of damage too."""
    damaged_s: float | None = None
    """Seconds of the file that could not be read, as far as they are known; None if there is no damage."""


class TranscriptionCalls:
    def __init__(self, address: GatewayAddress, model: str | None = None) -> None:
        self._address = address
        self._http = httpx.AsyncClient(
            **address.client_options(),
            timeout=httpx.Timeout(60.0, connect=10.0, read=None),  # the answer comes after the whole transcription
        )
        self._model = ModelWait(self._http, address, model)
        self._has_answered = False
        """Whether the gateway has answered a request. If so, and it cannot be reached now, it may be restarting."""

    async def __aenter__(self) -> "TranscriptionCalls":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def transcribe(self, audio: Path, fields: Mapping[str, str], display: RecordingDisplay) -> Answer:
        """Sends a file when the model is ready, and retries if the gateway is busy or the connection is lost.

        Raises:
            BatchAborted: the other files would fail as well.
            GatewayError: the transcription failed; the message has the gateway's reason.
            OSError: the file cannot be read.
        """
        await self._model.until_ready()
        for attempt in range(1, RETRIES + 1):
            try:
                return await self._once(audio, fields, display)
            except _RetryLater as problem:
                if problem.code in _OF_THE_MODEL:
                    display.pause()
                    await self._model.after_refusal(problem)
                pause_s = min(max(problem.after_s, _FIRST_PAUSE_S**attempt), _LONGEST_PAUSE_S)
                display.problem(f"{str(problem).rstrip('.')}; retrying in {pause_s:g} s ({attempt} of {RETRIES})")
                await asyncio.sleep(pause_s)
        self._has_answered = False
        return await self._once(audio, fields, display)

    async def _once(self, audio: Path, fields: Mapping[str, str], display: RecordingDisplay) -> Answer:
        suffix = audio.suffix.lower()
        name = f"audio{suffix}" if suffix in MEDIA else "audio"  # not the file's own name, which may be private
        file = await asyncio.to_thread(audio.open, "rb")
        try:
            before = os.fstat(file.fileno())
            files = {"file": (name, file)}
            form = self._http.build_request("POST", "/v1/audio/transcriptions", data=fields, files=files)
            began = time.perf_counter()
            answer = await self._post(form, display)
            took_s = time.perf_counter() - began
        finally:
            file.close()
        self._check(answer)
        after = os.stat(audio)
        if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
            raise GatewayError("the file changed during the transcription")
        return _read(answer, took_s)

    async def _post(self, form: httpx.Request, display: RecordingDisplay) -> httpx.Response:
        headers = {name: form.headers[name] for name in ("content-type", "content-length")}
        display.uploading(int(headers["content-length"]))
        headers["x-request-id"] = request_id = f"cli_{uuid.uuid4().hex}"
        progress = asyncio.create_task(self._follow(request_id, display))
        try:
            answer = await self._http.post(form.url, content=_chunks(form, display), headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
            problem = unreachable(self._address, error)
            raise _RetryLater(str(problem)) if self._has_answered else BatchAborted(problem.text) from error
        except httpx.LocalProtocolError as error:
            raise GatewayError("the file changed during the upload") from error
        except httpx.HTTPError as error:
            raise _RetryLater(f"the connection to the gateway was lost ({type(error).__name__})") from error
        finally:
            progress.cancel()
        self._has_answered = True
        return answer

    def _check(self, answer: httpx.Response) -> None:
        """Raises: _RetryLater, BatchAborted or GatewayError for an answer that is an error."""
        if answer.is_success:
            return
        reason, code = _reason(answer)
        retry_after = answer.headers.get("retry-after", "")
        if answer.status_code in (429, 503) and retry_after.isdecimal():
            raise _RetryLater(reason, float(retry_after), code)
        if answer.status_code == 401:
            raise BatchAborted(wrong_key(self._address).text)
        if code == "model_not_found" or answer.status_code == 403:
            raise BatchAborted(reason)
        raise GatewayError(reason)

    async def _follow(self, request_id: str, display: RecordingDisplay) -> None:
        """Shows the gateway's progress. If it reports none, the display shows the elapsed time only."""
        while display.is_visible:
            await asyncio.sleep(_PROGRESS_EVERY_S)
            with suppress(httpx.HTTPError, ValueError, KeyError):
                answer = await self._http.get(f"/v1/progress/{request_id}")
                if answer.is_success:
                    progress = answer.json()
                    display.transcribing(progress["done_s"], progress["duration_s"])


async def _chunks(form: httpx.Request, display: RecordingDisplay) -> AsyncIterator[bytes]:
    """Yields the body, 64 KiB at a time. A thread reads it, because httpx would read the file in the event loop."""
    assert isinstance(form.stream, httpx.SyncByteStream)
    chunks = iter(form.stream)
    while chunk := await asyncio.to_thread(next, chunks, b""):
        yield chunk
        display.sent(len(chunk))
    display.waiting()


def _read(answer: httpx.Response, took_s: float) -> Answer:
    try:
        problems = int(answer.headers.get("x-rapl-problems", "0"))
        damaged = answer.headers.get("x-rapl-damaged-s")
        return Answer(answer.content, took_s, problems, None if damaged is None else float(damaged))
    except ValueError:
        raise GatewayError("the server's answer has broken headers. Is --url the gateway's address?") from None


def _reason(answer: httpx.Response) -> tuple[str, str | None]:
    """The message and the code of the gateway's error."""
    try:
        error: Any = answer.json()["error"]
        return for_commands(str(error["message"])), error.get("code")
    except (ValueError, LookupError, TypeError, AttributeError):
        return f"the server answered with status {answer.status_code} and no message", None

"""A client for any server with OpenAI's transcription API. It has the same interface as the client of RAPL's engines.

Source: https://platform.openai.com/docs/api-reference/audio/createTranscription
"""

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiohttp
from aiohttp.http_exceptions import LineTooLong
from pydantic import BaseModel
from pydantic_core import from_json
from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import Capabilities, ModelInfo, ModelList, ModelState
from rapl_protocol.transcript import TranscribeOptions, Transcript
from rapl_service.calls.call import Service, deadline, service_errors, unavailable

from rapl_gateway.backends.openai_answers import refusal, transcript_of

MODELS_DEADLINE_S = 5.0
_MAX_ANSWER_BYTES = 1 << 20
"""Largest response to a segment, which is at most 30 s of audio: its words with all their times are 50 kB."""
_MAX_LIST_BYTES = 8 << 20
"""Largest list of models. Public servers list hundreds of models with long descriptions."""
_MAX_ERROR_BYTES = 64 << 10
_CAPABILITIES = Capabilities(prompt=True, word_timestamps=True, translation=True)
"""The options that the API has fields for. The server refuses an option that its model does not support."""


class OpenAIServer:
    """The client of one server.

    Args:
        http: the HTTP client session.
        service: the server's base URL, including `/v1` if it has that, and the key for it.
        models: the server's ids of the models that the catalog has for it.
    """

    poll_interval_s = 15.0
    has_bounded_queue = False

    def __init__(self, http: aiohttp.ClientSession, service: Service, models: Sequence[str]) -> None:
        self._http = http
        self.service = service
        self._models = models
        self._only_json: set[str] = set()
        """Models that refused `verbose_json`."""

    async def transcribe(
        self, audio: WavAudio, options: TranscribeOptions, *, deadline_s: float, request_id: str | None = None
    ) -> Transcript:
        """Returns the transcript of the audio.

        Raises:
            ServiceError: the server's own error, BACKEND_UNAVAILABLE or BACKEND_TIMEOUT.
        """
        needs_words = options.word_timestamps and not options.words_are_optional
        wants_more = needs_words or options.model not in self._only_json
        try:
            answer = await self._request(
                audio, options, "verbose_json" if wants_more else "json", deadline_s, request_id
            )
        except ServiceError as error:
            if needs_words or not wants_more or error.param != "response_format":
                raise
            self._only_json.add(options.model)
            answer = await self._request(audio, options, "json", deadline_s, request_id)
        with self._invalid_answers_named():
            return transcript_of(answer, audio.duration_s)

    async def load(self, model_id: str) -> ModelInfo:
        """Returns the model's state and loads nothing: the API has no request for it. The first transcription loads
        the model."""
        return next((info for info in await self.models() if info.id == model_id), _info(model_id, None))

    async def unload(self, model_id: str) -> ModelInfo:
        """Raises: ServiceError, UNSUPPORTED_PARAMETER: the API has no request for it."""
        raise self._not_ours("unload")

    async def remove(self, model_id: str) -> ModelInfo:
        """Raises: ServiceError, UNSUPPORTED_PARAMETER: the API has no request for it."""
        raise self._not_ours("remove")

    async def stream(
        self, audio: WavAudio, options: TranscribeOptions, *, deadline_s: float, request_id: str | None = None
    ) -> AsyncGenerator[str | Transcript, None]:
        """Yields texts as they arrive, if the server streams, and then the whole transcript. It always ends with the
        transcript or an error.

        Raises:
            ServiceError: as in `transcribe`. It can also be raised after some texts.
        """
        form = _form(audio, options, "json")
        form.add_field("stream", "true")
        text = ""
        async with self._post("transcriptions", form, deadline_s, request_id) as response:
            if response.content_type != "text/event-stream":
                with self._invalid_answers_named():
                    yield transcript_of(from_json(await self._read(response)), audio.duration_s)
                return
            async for event in self._events(response):
                match event:
                    case {"type": "transcript.text.delta", "delta": str(delta)}:
                        text += delta
                        yield delta
                    case {"type": "transcript.text.done", "text": str(whole), **rest}:
                        # Text that has been sent cannot be changed, even if the server's final text differs from it.
                        yield transcript_of({**rest, "text": text or whole}, audio.duration_s)
                        return
                    case {"error": _}:
                        raise unavailable(self.service, "ended its stream with an error")
                    case _:
                        pass  # the API may add other types of events
        raise unavailable(self.service, "ended its stream too early")

    async def models(self) -> list[ModelInfo]:
        """Returns the catalog's models of this server. A model that the server does not list counts as ready."""
        limits = deadline(MODELS_DEADLINE_S)
        with service_errors(self.service, MODELS_DEADLINE_S):
            url = f"{self.service.base_url}/models"
            async with self._http.get(url, headers=self.service.headers(), timeout=limits) as response:
                if response.status >= 400 and response.status not in (404, 405):
                    raise await self._refusal(response)
                answer = _json(await self._read(response, _MAX_LIST_BYTES))
        listed = _listed(answer)
        return [_info(model, listed.get(model)) for model in self._models]

    async def report(self) -> ModelList:
        return ModelList(models=await self.models())

    def _not_ours(self, action: str) -> ServiceError:
        message = f"{self.service.name} is not a RAPL engine, so RAPL cannot {action} its models. Do it on that server."
        return ServiceError(ErrorCode.UNSUPPORTED_PARAMETER, message, param="model")

    async def _request(
        self, audio: WavAudio, options: TranscribeOptions, response_format: str, deadline_s: float, rid: str | None
    ) -> Any:
        endpoint = "translations" if options.translate else "transcriptions"
        async with self._post(endpoint, _form(audio, options, response_format), deadline_s, rid) as response:
            with self._invalid_answers_named():
                return from_json(await self._read(response))

    @asynccontextmanager
    async def _post(
        self, endpoint: str, form: aiohttp.FormData, deadline_s: float, request_id: str | None
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        url = f"{self.service.base_url}/audio/{endpoint}"
        headers = self.service.headers() | ({"x-request-id": request_id} if request_id else {})
        with service_errors(self.service, deadline_s):
            async with self._http.post(url, data=form, headers=headers, timeout=deadline(deadline_s)) as response:
                if response.status >= 400:
                    raise await self._refusal(response)
                yield response

    async def _refusal(self, response: aiohttp.ClientResponse) -> ServiceError:
        body = await _beginning(response, _MAX_ERROR_BYTES)
        return refusal(self.service, response.status, _json(body), response.headers)

    async def _read(self, response: aiohttp.ClientResponse, most_bytes: int = _MAX_ANSWER_BYTES) -> bytes:
        """Returns the body. Raises: ServiceError, BACKEND_UNAVAILABLE, if it is larger."""
        body = await _beginning(response, most_bytes)
        if len(body) > most_bytes:
            raise self._too_large(most_bytes)
        return body

    def _too_large(self, most_bytes: int) -> ServiceError:
        return unavailable(self.service, f"sent a response that is larger than {most_bytes >> 20} MiB")

    async def _events(self, response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
        received_bytes = 0
        with self._invalid_answers_named():
            async for line in response.content:
                received_bytes += len(line)
                if received_bytes > _MAX_ANSWER_BYTES:
                    raise self._too_large(_MAX_ANSWER_BYTES)
                if line.startswith(b"data:") and line[5:].strip() != b"[DONE]":
                    yield from_json(line[5:])

    @contextmanager
    def _invalid_answers_named(self) -> Generator[None]:
        try:
            yield
        except (
            ValueError,
            LineTooLong,
        ):
            # The cause is left out: its message quotes the response, which may be a transcript.
            raise unavailable(self.service, "sent a response that is not in OpenAI's format") from None


def _form(audio: WavAudio, options: TranscribeOptions, response_format: str) -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field("file", audio.to_wav(), filename="speech.wav", content_type="audio/wav")
    form.add_field("model", options.model)
    form.add_field("response_format", response_format)
    prompt = " ".join(part for part in (options.prompt, ", ".join(options.keywords)) if part)
    optional = {"prompt": prompt or None, "language": None if options.translate else options.language}
    if options.temperature is not None:
        optional["temperature"] = f"{options.temperature:g}"
    for name, value in optional.items():
        if value is not None:
            form.add_field(name, value)
    if options.word_timestamps and response_format == "verbose_json":
        for granularity in ("word", "segment"):
            form.add_field("timestamp_granularities[]", granularity)
    return form


class _Listed(BaseModel):
    """An entry of a list of models. Only RAPL sends `state` and `reason`."""

    id: str
    state: str = "ready"
    reason: str | None = None


class _ModelList(BaseModel):
    data: list[_Listed]


def _info(model: str, listed: _Listed | None) -> ModelInfo:
    """Returns the model with the state that the server reports. Only a RAPL gateway reports one; without it the model
    counts as ready."""
    listed = listed or _Listed(id=model)
    state = ModelState(listed.state) if listed.state in set(ModelState) else ModelState.FAILED
    return ModelInfo(id=model, state=state, reason=listed.reason, capabilities=_CAPABILITIES)


def _listed(answer: Any) -> dict[str, _Listed]:
    """Returns the entries of a list of models, by id; empty if the server has no such list."""
    try:
        return {entry.id: entry for entry in _ModelList.model_validate(answer).data}
    except ValueError:
        return {}


async def _beginning(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    """Returns the body; of one that is larger than `most_bytes`, its beginning of more than that."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > most_bytes:
            response.close()  # so that the rest is not read
            break
    return bytes(body)


def _json(body: bytes) -> Any:
    try:
        return from_json(body)
    except ValueError:
        return None

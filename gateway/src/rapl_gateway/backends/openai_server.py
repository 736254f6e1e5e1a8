"""Any other server that speaks OpenAI's transcription API, called like an engine of ours.

Source: https://platform.openai.com/docs/api-reference/audio/createTranscription
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiohttp
from aiohttp.http_exceptions import LineTooLong
from pydantic_core import from_json
from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ServiceError
from rapl_protocol.models import Capabilities, ModelInfo, ModelState
from rapl_protocol.transcript import TranscribeOptions, Transcript
from rapl_service.calls.call import Service, deadline, service_errors, unavailable

from rapl_gateway.backends.openai_answers import refusal, transcript_of

MODELS_DEADLINE_S = 5.0
_CAPABILITIES = Capabilities(prompt=True, word_timestamps=True, translation=True)
"""What the API has a field for; the server refuses what its model cannot."""


class OpenAIEngine:
    """One server.

    Args:
        http: the pool of connections.
        service: its base URL, with `/v1` where it has that, and its key.
        models: its own ids of the models that the catalog names.
    """

    poll_interval_s = 15.0

    def __init__(self, http: aiohttp.ClientSession, service: Service, models: Sequence[str]) -> None:
        self._http = http
        self.service = service
        self._models = models
        self._only_json: set[str] = set()
        """Models that were seen to refuse `verbose_json`."""

    async def transcribe(
        self, audio: WavAudio, options: TranscribeOptions, *, deadline_s: float, request_id: str | None = None
    ) -> Transcript:
        """Raises: ServiceError: what the server refuses, or BACKEND_UNAVAILABLE or BACKEND_TIMEOUT."""
        wants_more = options.word_timestamps or options.model not in self._only_json
        try:
            answer = await self._ask(audio, options, "verbose_json" if wants_more else "json", deadline_s, request_id)
        except ServiceError as error:
            if options.word_timestamps or not wants_more or error.param != "response_format":
                raise
            self._only_json.add(options.model)
            answer = await self._ask(audio, options, "json", deadline_s, request_id)
        with self._nonsense_named():
            return transcript_of(answer, audio.duration_s)

    async def load(self, model_id: str) -> ModelInfo:
        """The API has no such request: its models load when they are asked for something."""
        return next(info for info in await self.models() if info.id == model_id)

    async def stream(
        self, audio: WavAudio, options: TranscribeOptions, *, deadline_s: float, request_id: str | None = None
    ) -> AsyncGenerator[str | Transcript, None]:
        """Yields texts as they come, if the server streams them, and then the whole transcript.

        Raises:
            ServiceError: as `transcribe`, also after some texts. It never ends in silence without the transcript.
        """
        form = _form(audio, options, "json")
        form.add_field("stream", "true")
        text = ""
        async with self._post("transcriptions", form, deadline_s, request_id) as response:
            if response.content_type != "text/event-stream":
                with self._nonsense_named():
                    yield transcript_of(from_json(await response.read()), audio.duration_s)
                return
            async for event in self._events(response):
                match event:
                    case {"type": "transcript.text.delta", "delta": str(delta)}:
                        text += delta
                        yield delta
                    case {"type": "transcript.text.done", "text": str(whole), **rest}:
                        # What was told cannot be taken back, should the whole differ from it.
                        yield transcript_of({**rest, "text": text or whole}, audio.duration_s)
                        return
                    case {"error": _}:
                        raise unavailable(self.service, "broke off its answer with an error")
        raise unavailable(self.service, "broke off its answer")

    async def models(self) -> list[ModelInfo]:
        """The catalog's models of this server, as it lists them; of one that it does not list nothing is known."""
        limits = deadline(MODELS_DEADLINE_S)
        with service_errors(self.service, MODELS_DEADLINE_S):
            url = f"{self.service.base_url}/models"
            async with self._http.get(url, headers=self.service.headers(), timeout=limits) as response:
                if response.status >= 400 and response.status not in (404, 405):
                    raise refusal(self.service, response.status, await _json(response), response.headers)
                answer = await _json(response)
        with self._nonsense_named():
            listed = _listed(answer)
            return [self._info(model, listed.get(model, {})) for model in self._models]

    def _info(self, model: str, listed: dict[str, Any]) -> ModelInfo:
        """A RAPL gateway says in what state a model is; what others list is ready."""
        try:
            state = ModelState(listed.get("state", "ready"))
        except ValueError:
            state = ModelState.FAILED
        return ModelInfo(id=model, state=state, reason=listed.get("reason"), capabilities=_CAPABILITIES)

    async def _ask(
        self, audio: WavAudio, options: TranscribeOptions, response_format: str, deadline_s: float, rid: str | None
    ) -> Any:
        endpoint = "translations" if options.translate else "transcriptions"
        async with self._post(endpoint, _form(audio, options, response_format), deadline_s, rid) as response:
            with self._nonsense_named():
                return from_json(await response.read())

    @asynccontextmanager
    async def _post(
        self, endpoint: str, form: aiohttp.FormData, deadline_s: float, request_id: str | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        url = f"{self.service.base_url}/audio/{endpoint}"
        headers = self.service.headers() | ({"x-request-id": request_id} if request_id else {})
        with service_errors(self.service, deadline_s):
            async with self._http.post(url, data=form, headers=headers, timeout=deadline(deadline_s)) as response:
                if response.status >= 400:
                    raise refusal(self.service, response.status, await _json(response), response.headers)
                yield response

    async def _events(self, response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
        with self._nonsense_named():
            async for line in response.content:
                if line.startswith(b"data:") and line[5:].strip() != b"[DONE]":
                    yield from_json(line[5:])

    @contextmanager
    def _nonsense_named(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, LineTooLong):  # not their cause: that has what was answered in its message
            raise unavailable(self.service, "answered something that is not OpenAI's format") from None


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
    if options.word_timestamps:
        for granularity in ("word", "segment"):
            form.add_field("timestamp_granularities[]", granularity)
    return form


def _listed(answer: Any) -> dict[str, dict[str, Any]]:
    """The models of a list, by id. A server without such a list gives none."""
    items = answer.get("data") if isinstance(answer, dict) else None
    items = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return {item["id"]: item for item in items if isinstance(item.get("id"), str)}


async def _json(response: aiohttp.ClientResponse) -> Any:
    try:
        return from_json(await response.read())
    except ValueError:
        return None

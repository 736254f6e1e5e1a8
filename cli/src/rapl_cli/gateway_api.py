"""A client for short calls of the gateway: the list of models, and the transcription of a small file."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from rapl_cli.errors import CommandError
from rapl_cli.gateway_address import NOTHING_LISTENS, GatewayAddress

_TIMEOUT = httpx.Timeout(10.0, connect=2.0)
_CHANGE_TIMEOUT = httpx.Timeout(120.0, connect=2.0)
"""An engine finishes the requests that it has accepted before it unloads a model, within 60 s."""
_TRANSCRIPTION_TIMEOUT = httpx.Timeout(600.0, connect=2.0)

_SPEAKERS_MODEL = "rapl/speakers"
_START = "Start it with `docker compose up` or `./rapl up`; `./rapl doctor` looks for other causes."


class GatewayError(CommandError):
    """The gateway cannot be reached, or it answered with an error. The message has the reason."""


def unreachable(address: GatewayAddress, error: Exception) -> GatewayError:
    """The error of a request or a handshake that got no response."""
    reason, command = address.reason(error), "doctor" if address.is_local else f"doctor --url {address.url}"
    remedy = f"`./rapl {command}` looks for the cause."
    if address.is_local and reason == NOTHING_LISTENS:
        remedy = _START
    return GatewayError(f"the gateway at {address.url} cannot be reached ({reason})", remedy)


def not_a_gateway(address: GatewayAddress) -> GatewayError:
    """The error of an answer that no gateway would give."""
    remedy = "set RAPL_PORT to the gateway's port" if address.is_local else "check --url"
    return GatewayError(f"the program at {address.url} is not a RAPL gateway; {remedy}")


def wrong_key(address: GatewayAddress) -> GatewayError:
    """The error of an answer with status 401."""
    problem = "does not accept this API key" if address.api_key else "needs an API key"
    return GatewayError(f"the gateway {problem}", "Set RAPL_API_KEY, or use --api-key.")


def for_commands(message: str) -> str:
    """The gateway's message, with the command instead of the call of the API that does the same."""
    return message.replace("GET /v1/models lists", "`./rapl models` lists")


def with_speakers(models: list[dict[str, Any]], status: dict[str, Any]) -> list[dict[str, Any]]:
    """The models, and the model of speaker-service as GET /v1/status has it."""
    speakers = status.get("speakers")
    return [*models, speakers["model"]] if speakers else models


class GatewayApi:
    def __init__(self, address: GatewayAddress) -> None:
        self.address = address
        self.url = address.url
        self._http = httpx.AsyncClient(**address.client_options(), timeout=_TIMEOUT)

    async def __aenter__(self) -> "GatewayApi":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def models(self) -> list[dict[str, Any]]:
        """Every model with its state. Raises: GatewayError."""
        return (await self._request("GET", "/v1/models"))["data"]

    async def models_and_speakers(self) -> list[dict[str, Any]]:
        """Every model, and the model of speaker-service if one is configured. Raises: GatewayError."""
        models, status = await asyncio.gather(self.models(), self.status())
        return with_speakers(models, status)

    async def wait_for_speakers(self, *, limit_s: float) -> None:
        """Waits until the gateway reaches speaker-service. Its model may still be downloaded.

        Raises:
            GatewayError: it is not reached within `limit_s`.
        """
        try:
            async with asyncio.timeout(limit_s):
                while (await self.model(_SPEAKERS_MODEL))["state"] == "unreachable":  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise GatewayError(f"speaker-service does not answer after {limit_s:g} s") from None

    async def model(self, model: str) -> dict[str, Any]:
        """One model with its state. Raises: GatewayError."""
        return await self._request("GET", f"/v1/models/{quote(model)}")

    async def load(self, model: str) -> dict[str, Any]:
        """Begins to load a model, and returns it with its state. Raises: GatewayError."""
        return await self._request("POST", f"/v1/models/{quote(model)}/load", timeout=_CHANGE_TIMEOUT)

    async def unload(self, model: str) -> dict[str, Any]:
        """Frees a model's memory after its accepted requests. Raises: GatewayError."""
        return await self._request("POST", f"/v1/models/{quote(model)}/unload", timeout=_CHANGE_TIMEOUT)

    async def remove(self, model: str) -> dict[str, Any]:
        """Unloads a model and removes its weights. Raises: GatewayError."""
        return await self._request("DELETE", f"/v1/models/{quote(model)}", timeout=_CHANGE_TIMEOUT)

    async def status(self) -> dict[str, Any]:
        """What the gateway and its services do now. Raises: GatewayError."""
        return await self._request("GET", "/v1/status")

    async def transcribe(self, audio: Path, model: str) -> str:
        """The text of an audio file. Raises: GatewayError."""
        content = await asyncio.to_thread(audio.read_bytes)
        answer = await self._request(
            "POST",
            "/v1/audio/transcriptions",
            data={"model": model},
            files={"file": (audio.name, content)},
            timeout=_TRANSCRIPTION_TIMEOUT,
        )
        return answer["text"]

    async def problems(self) -> dict[str, str]:
        """Why the gateway cannot use a service, by service. Raises: GatewayError."""
        return (await self._request("GET", "/health/ready", accepted=503))["problems"]

    async def default_model(self) -> dict[str, Any]:
        """The model for requests that name none, with its state. Raises: GatewayError."""
        return await self.model((await self._request("GET", "/health/ready", accepted=503))["model"])

    async def wait_until_ready(self, model: str | None, *, limit_s: float) -> None:
        """Waits until a model is ready; None waits only until the gateway answers.

        Raises:
            GatewayError: the model failed, or it is not ready within `limit_s`.
        """
        problem = "no answer"
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    try:
                        models = await self.models()
                    except GatewayError as error:
                        problem = str(error)
                    else:
                        found = next((m for m in models if m["id"] == model), {})
                        problem = f"{found.get('state', 'unknown')}: {found.get('reason')}"
                        if model is None or found.get("state") == "ready":
                            return
                        if found.get("state") == "failed":
                            raise GatewayError(f"{model}: {found.get('reason')}. {found.get('remedy') or ''}".strip())
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise GatewayError(f"{model or 'the gateway'} is not ready after {limit_s:g} s ({problem})") from None

    async def _request(self, method: str, path: str, *, accepted: int = 200, **content: Any) -> Any:
        """The JSON object in the answer. `accepted` is a status besides 2xx that is no error. Raises: GatewayError."""
        try:
            answer = await self._http.request(method, path, **content)
        except httpx.HTTPError as error:
            raise unreachable(self.address, error) from error
        try:
            body = answer.json()
            if (answer.is_success or answer.status_code == accepted) and isinstance(body, dict):
                return body
            message = for_commands(str(body["error"]["message"]))
        except (ValueError, LookupError, TypeError):
            raise not_a_gateway(self.address) from None
        raise wrong_key(self.address) if answer.status_code == 401 else GatewayError(message)

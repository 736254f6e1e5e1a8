"""Waits for the model of a batch: once for all files, with a bar while it is downloaded."""

import asyncio
import sys
import time
from typing import Any
from urllib.parse import quote

import httpx
from tqdm import tqdm

from rapl_cli.display import plain
from rapl_cli.errors import report
from rapl_cli.gateway_address import GatewayAddress
from rapl_cli.gateway_api import GatewayError, not_a_gateway, unreachable

_POLL_INTERVAL_S = 0.5
_STALL_S = 20.0
"""After so long without progress, a download that has a problem is not waited for any longer."""
_TIMEOUT = httpx.Timeout(10.0)
_DOWNLOAD = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}]"
_WAIT = "{desc} [{elapsed}]"


class BatchAborted(GatewayError):
    """The remaining files would fail as well, for example because the gateway cannot be reached or rejects the key."""


class ModelWait:
    """The model that a batch uses. Several workers may wait for it; only one of them asks the gateway.

    Args:
        http: a client of the gateway.
        address: the gateway.
        model: the public id; None is the gateway's default model.
    """

    def __init__(self, http: httpx.AsyncClient, address: GatewayAddress, model: str | None) -> None:
        self._http = http
        self._address = address
        self._model = model
        self._turn = asyncio.Lock()
        self._was_ready = False
        self._is_stalled = False

    async def until_ready(self) -> None:
        """Before the first file: waits while the model is downloaded or loaded. Raises: BatchAborted."""
        async with self._turn:
            if not self._was_ready:
                await self._wait()
                self._was_ready = True

    async def after_refusal(self, error: GatewayError) -> None:
        """Waits as `until_ready`, after the gateway has refused a file because the model is not ready.

        Raises:
            BatchAborted: waiting does not make the model ready; the message is that of `error`.
        """
        async with self._turn:
            try:
                model = await self._wait()
            except BatchAborted:  # the gateway is being restarted
                return
        if model and model["state"] != "ready":
            raise BatchAborted(str(error)) from error

    async def _wait(self) -> dict[str, Any] | None:
        """Returns the model in its final state, which need not be `ready`: another model may stand in for it."""
        with _WaitDisplay() as display:
            model = await self._entry()
            if model and model["state"] == "absent":  # perhaps only unloaded, or not yet downloaded
                model = await self._entry("POST", "/load") or model
            progress, since = None, time.monotonic()
            while model and model["state"] in ("downloading", "loading") and not self._is_stalled:
                display.show(model)
                await asyncio.sleep(_POLL_INTERVAL_S)
                if model.get("progress") != progress or not model.get("reason"):
                    progress, since = model.get("progress"), time.monotonic()
                self._is_stalled = time.monotonic() - since > _STALL_S
                model = await self._entry()
        return model

    async def _entry(self, method: str = "GET", action: str = "") -> dict[str, Any] | None:
        """The model as the gateway lists it; None if the server reports no states. Raises: BatchAborted."""
        model = self._model or (await self._request("GET", "/health/ready")).get("model")
        if not isinstance(model, str):
            return None
        body = await self._request(method, f"/v1/models/{quote(model)}{action}")
        return body if {"id", "state"} <= body.keys() else None

    async def _request(self, method: str, path: str) -> dict[str, Any]:
        """The JSON object in the answer; an empty one if there is none. Raises: BatchAborted."""
        try:
            answer = await self._http.request(method, path, timeout=_TIMEOUT)
        except httpx.HTTPError as error:
            raise BatchAborted(unreachable(self._address, error).text) from error
        try:
            body = answer.json()
        except ValueError:
            if answer.is_success:
                raise BatchAborted(str(not_a_gateway(self._address))) from None
            return {}
        return body if isinstance(body, dict) else {}


class _WaitDisplay:
    """A bar on a terminal, one line for each state elsewhere."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None
        self._shown = ""

    def __enter__(self) -> "_WaitDisplay":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, model: dict[str, Any]) -> None:
        text = f"waiting for {model['id']}: {model['state']}"
        if model["state"] == "downloading" and model.get("reason"):
            text += f" ({plain(model['reason'].partition(';')[0])})"
        if not sys.stderr.isatty():
            if text != self._shown:
                report(text)
            self._shown = text
            return
        if self._bar is None:
            self._bar = tqdm(unit="B", unit_scale=True, leave=False, file=sys.stderr)
        progress = model.get("progress") or {}
        self._bar.total = progress.get("total_bytes")
        self._bar.n = progress.get("done_bytes", 0)
        self._bar.bar_format = _DOWNLOAD if self._bar.total else _WAIT
        self._bar.set_description_str(text)

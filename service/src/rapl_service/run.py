"""Starts a service: settings from the environment, a log on stderr, one app on one port."""

import asyncio
import faulthandler
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Literal, Protocol, TypeVar

import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError
from pydantic_settings import BaseSettings
from rapl_protocol.errors import invalid_fields
from rapl_protocol.wire import KEEP_ALIVE_S

from rapl_service.exit_codes import BAD_SETTING, NOT_STARTED
from rapl_service.http.connection import GuardedHttp
from rapl_service.listener import close_after_backlog
from rapl_service.log import LogFormat, configure_logging
from rapl_service.memory import MemoryTrimmer

_DRAIN_S = 30
"""How long a service that has received SIGTERM waits for the requests in work."""
_TRIM_TICKS = 10
"""Ticks between two checks; uvicorn's tick is a tenth of a second."""

WebSocketProtocol = type[asyncio.Protocol] | Literal["none"]

log = logging.getLogger("rapl")


class ServiceSettings(Protocol):
    """The settings that every service has."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def log_level(self) -> str: ...
    @property
    def log_format(self) -> LogFormat: ...


S = TypeVar("S", bound=BaseSettings)


def settings_or_exit(settings_class: type[S]) -> S:
    """The settings from the environment. An invalid one ends the process with a line that names the variable."""
    try:
        return settings_class()
    except ValidationError as error:
        prefix = settings_class.model_config.get("env_prefix", "")
        for invalid in invalid_fields(error):
            name = "_".join(invalid.path)
            variable = name if name.isupper() else f"{prefix}{name}".upper()  # an alias is the whole name
            print(f"{variable}: {invalid.message}", file=sys.stderr)  # noqa: T201
        sys.exit(BAD_SETTING)


def run(
    create_app: Callable[[S], FastAPI],
    settings_class: type[S],
    listen: Callable[[S], dict[str, Any]] = lambda _: {},
    *,
    ws: WebSocketProtocol = "none",
) -> None:
    """Runs a service until SIGTERM or SIGINT. An invalid configuration ends the process with the reason.

    Args:
        create_app: creates the application; raises ValueError if the configuration is invalid.
        settings_class: settings to read from the environment.
        listen: further options for uvicorn, such as TLS; raises ValueError if they are invalid.
        ws: the protocol of WebSocket connections; with "none", an upgrade request is handled as plain HTTP.
    """
    settings = settings_or_exit(settings_class)
    try:
        app, options = create_app(settings), listen(settings)
    except ValueError as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(BAD_SETTING)
    serve(app, settings, ws=ws, **options)  # type: ignore[arg-type]


def serve(app: FastAPI, settings: ServiceSettings, *, ws: WebSocketProtocol = "none", **options: Any) -> None:
    configure_logging(settings.log_level, settings.log_format)
    # faulthandler is C code, so SIGUSR1 prints the tracebacks even if the process hangs.
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    # uvicorn raises the signal again after an orderly shutdown; by default the process would end as if killed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ignore)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # the terminal is closed; `nohup` ignores it
        signal.signal(signal.SIGHUP, _terminate)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=_DRAIN_S,
        http=GuardedHttp,
        ws=ws,
        **options,
    )
    server = _Server(config)
    _tune_garbage_collector()
    server.run()
    if not server.started:
        sys.exit(NOT_STARTED)


def _ignore(number: int, frame: FrameType | None) -> None:
    pass


def _terminate(number: int, frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGTERM)


def _tune_garbage_collector() -> None:
    """Makes the cycle collector run less often: requests create few cycles, and imported modules create none. The
    gateway's CPU time for a request fell by a tenth (1,062 to 963 us, interleaved medians)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)


class _Server(uvicorn.Server):
    """uvicorn's server. Between requests it returns freed memory to the system; when it stops, it first accepts the
    connections that are already in the backlog."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._trimmer = MemoryTrimmer()

    async def on_tick(self, counter: int) -> bool:
        if counter % _TRIM_TICKS == 0 and not self.server_state.tasks:
            self._trimmer.trim_if_grown()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await close_after_backlog(self.servers, self._make_protocol, self.config.ssl)
        await super().shutdown(sockets)

    def _make_protocol(self) -> asyncio.Protocol:
        return GuardedHttp(self.config, self.server_state, self.lifespan.state)

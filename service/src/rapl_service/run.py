"""Starts a service: settings from the environment, a log on stderr, one app on one port, or on two with TLS."""

import asyncio
import faulthandler
import gc
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import Callable
from types import FrameType
from typing import Literal, Protocol, TypeVar

import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError
from pydantic_settings import BaseSettings
from rapl_protocol.wire import KEEP_ALIVE_S

from rapl_service.exit_codes import BAD_SETTING, NOT_STARTED
from rapl_service.http.connection import GuardedHttp
from rapl_service.listening.listener import close_after_backlog
from rapl_service.listening.tls import Tls
from rapl_service.log import LogFormat, configure_logging
from rapl_service.memory import MemoryTrimmer
from rapl_service.settings.problems import problems_of
from rapl_service.settings.unknown import REPORTED, unknown_settings
from rapl_service.settings.variables import variables_of

DRAIN_S = 30
"""How long a service that has received SIGTERM waits for the requests in work, unless it has a setting for that."""
_MAX_WS_MESSAGE_BYTES = 16 << 20
_TRIM_TICKS = 10
_CERTIFICATE_TICKS = 100
"""Ticks between two checks; uvicorn's tick is a tenth of a second."""
CHECK_SETTINGS = "--check-settings"
"""With this argument a service only checks its settings: it exits with 0 if they are right, else with BAD_SETTING."""

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
    """The settings from the environment. Wrong ones end the process with a line for each; unknown names are only
    reported."""
    if not os.environ.get(REPORTED):
        own = {name for each in variables_of(settings_class).values() for name in (each.name, *each.other_names)}
        _print_lines(unknown_settings(os.environ, own))
    try:
        return settings_class()
    except ValidationError as error:
        _print_lines(problems_of(settings_class, error))
        sys.exit(BAD_SETTING)


def run(
    create_app: Callable[[S], FastAPI],
    settings_class: type[S],
    tls_of: Callable[[S], Tls | None] = lambda _: None,
    *,
    drain_of: Callable[[S], int] = lambda _: DRAIN_S,
    ws: WebSocketProtocol = "none",
    max_ws_message_bytes: int = _MAX_WS_MESSAGE_BYTES,
) -> None:
    """Runs a service until SIGTERM or SIGINT. Wrong settings end the process with the reasons.

    With the argument `--check-settings` it ends before it listens.

    Args:
        create_app: creates the application; raises ValueError if the configuration is invalid.
        settings_class: settings to read from the environment.
        tls_of: the TLS certificate, if there is one; raises ValueError if it is invalid.
        drain_of: how long the service waits for the requests in work after a signal, in seconds.
        ws: the protocol of WebSocket connections; with "none", an upgrade request is handled as plain HTTP.
        max_ws_message_bytes: a longer WebSocket message closes its connection with 1009.
    """
    settings = settings_or_exit(settings_class)
    app, tls, problems = None, None, list[str]()
    try:
        tls = tls_of(settings)
    except ValueError as error:
        problems.append(str(error))
    try:
        app = create_app(settings)
    except ValueError as error:
        problems.append(str(error))
    if problems or app is None:
        _print_lines(problems)
        sys.exit(BAD_SETTING)
    if CHECK_SETTINGS not in sys.argv[1:]:
        drain_s = drain_of(settings)
        serve(app, settings, tls, ws=ws, drain_s=drain_s, max_ws_message_bytes=max_ws_message_bytes)  # type: ignore[arg-type]


def _print_lines(lines: list[str]) -> None:
    for line in lines:
        print(line, file=sys.stderr)  # noqa: T201


def serve(
    app: FastAPI,
    settings: ServiceSettings,
    tls: Tls | None = None,
    *,
    ws: WebSocketProtocol = "none",
    drain_s: int = DRAIN_S,
    max_ws_message_bytes: int = _MAX_WS_MESSAGE_BYTES,
) -> None:
    configure_logging(settings.log_level, settings.log_format)
    # faulthandler is C code, so SIGUSR1 prints the tracebacks even if the process hangs.
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # the terminal is closed; `nohup` ignores it
        signal.signal(signal.SIGHUP, _terminate)
    only_tls = tls.certificate.context if tls and tls.port is None else None
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=drain_s,
        http=GuardedHttp,
        ws=ws,
        ws_max_size=max_ws_message_bytes,
        ws_per_message_deflate=False,  # audio hardly gets smaller, and each connection would need more memory
        ssl_context_factory=_always(only_tls) if only_tls else None,
    )
    server = _Server(config, tls)
    # Signals also count before uvicorn handles them. After an orderly shutdown uvicorn raises them again; by default
    # the process would then end as if killed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.handle_exit)
    _tune_garbage_collector()
    server.run()
    if not server.started:
        sys.exit(NOT_STARTED)


def _always(context: ssl.SSLContext) -> Callable[[uvicorn.Config, Callable[[], ssl.SSLContext]], ssl.SSLContext]:
    """A factory, as uvicorn wants it, that returns this context."""
    return lambda _config, _default: context


def _terminate(number: int, frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGTERM)


def _tune_garbage_collector() -> None:
    """Makes the cycle collector run less often: requests create few cycles, and imported modules create none. The
    gateway's CPU time for a request fell by a tenth (1,062 to 963 us, interleaved medians)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)


class _Server(uvicorn.Server):
    """uvicorn's server, which can also listen on a second port, with TLS. Between requests it returns freed memory to
    the system; when it stops, it first accepts the connections that are already in the backlogs."""

    def __init__(self, config: uvicorn.Config, tls: Tls | None) -> None:
        super().__init__(config)
        self._tls = tls
        self._trimmer = MemoryTrimmer()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.started:
            return
        self._log_url("https" if self.config.ssl else "http", self.servers[0].sockets[0].getsockname()[1])
        if self._tls and self._tls.port is not None:
            await self._listen_with_tls(self._tls.certificate.context, self._tls.port)

    async def on_tick(self, counter: int) -> bool:
        if counter % _TRIM_TICKS == 0 and not self.server_state.tasks:
            self._trimmer.trim_if_grown()
        if self._tls and counter % _CERTIFICATE_TICKS == 0:
            await asyncio.to_thread(self._tls.certificate.reload_if_changed)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        second = self._tls.certificate.context if self._tls else None
        contexts = [self.config.ssl, second]
        closing = [
            close_after_backlog([server], self._make_protocol, context)
            for server, context in zip(self.servers, contexts, strict=False)
        ]
        await asyncio.gather(*closing)
        await super().shutdown(sockets)

    async def _listen_with_tls(self, context: ssl.SSLContext, port: int) -> None:
        loop, config = asyncio.get_running_loop(), self.config
        try:
            server = await loop.create_server(
                self._make_protocol, config.host, port, ssl=context, backlog=config.backlog
            )
        except OSError as error:
            log.error("cannot listen on the port for TLS reason=%s", error)
            self.started = False
            await super().shutdown()
            sys.exit(NOT_STARTED)
        self.servers.append(server)
        self._log_url("https", port)

    def _log_url(self, scheme: str, port: int) -> None:
        host = self.config.host
        log.info("listening url=%s", f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}")

    def _make_protocol(self) -> asyncio.Protocol:
        return GuardedHttp(self.config, self.server_state, self.lifespan.state)

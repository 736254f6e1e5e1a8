"""The WebSocket /v1/realtime: its handshake, and what it says about the families of OpenAI that RAPL does not have."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, WebSocket
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.http.scope import log_fields, request_id
from rapl_service.http.websocket import ON_SHUTDOWN
from starlette.requests import HTTPConnection

from rapl_gateway.gateway import gateway_of
from rapl_gateway.realtime.rules.commands import EndedBy
from rapl_gateway.realtime.rules.config import SessionConfig
from rapl_gateway.realtime.rules.events import ServerEvents, random_id
from rapl_gateway.realtime.rules.session_rules import SessionRules
from rapl_gateway.realtime.session import RealtimeSession
from rapl_gateway.realtime.sessions import Sessions, sessions_of
from rapl_gateway.security.api_keys import client_id_of, sent_key

WEBSOCKET_PATH = "/v1/realtime"
OTHER_FAMILIES = {
    "/v1/live": "Live conversations",
    "/v1/realtime/translations": "Realtime translations",
    "/v1/realtime/translations/client_secrets": "Realtime translations",
    "/v1/realtime/calls": "Calls over WebRTC or SIP",
}
"""OpenAI's neighbouring paths, which clients may try."""
_PROTOCOL, _FLAT_PROTOCOL = "realtime", "openai-beta.realtime-v1"

router = APIRouter()


@router.websocket(WEBSOCKET_PATH)
async def realtime(websocket: WebSocket) -> None:
    sessions, client_id = sessions_of(websocket), client_id_of(websocket)
    config = _first_config(sessions, websocket)
    with sessions.counted(client_id):
        await websocket.accept(_subprotocol(websocket.scope["subprotocols"]))
        await _serve(websocket, sessions, client_id, config)


async def _serve(websocket: WebSocket, sessions: Sessions, client_id: str, config: SessionConfig) -> None:
    gateway = gateway_of(websocket)
    settings = gateway.settings
    expires_at = int(time.time() + settings.realtime_max_session_s)
    events = ServerEvents(random_id("sess"), expires_at, _is_flat(websocket), random_id)
    rules = SessionRules(
        events,
        config,
        require_model=sessions.require_model,
        new_id=random_id,
        max_turn_s=settings.realtime_max_turn_s,
    )
    live = gateway.preprocess.live(
        config.live_options(), restart_wait_s=settings.restart_wait_s, request_id=request_id(websocket)
    )
    session = RealtimeSession(
        websocket,
        rules,
        live,
        partial(
            sessions.begin_text,
            client_id=client_id,
            request_id=request_id(websocket),
            voices=sessions.new_voices(request_id(websocket)),
        ),
        sessions.metrics,
        idle_s=settings.realtime_idle_s,
        max_session_s=settings.realtime_max_session_s,
    )
    stop = partial(session.end, EndedBy.SHUTDOWN, "the server is shutting down")
    on_shutdown: list[Callable[[], None]] = websocket.scope[ON_SHUTDOWN]
    on_shutdown.append(stop)
    try:
        with sessions.running(session):
            await session.run()
    finally:
        on_shutdown.remove(stop)
        model = sessions.public_model(rules.config.requested_model)
        log_fields(websocket).update(_figures(rules, session, model))


def _figures(rules: SessionRules, session: RealtimeSession, model: str | None) -> dict[str, Any]:
    known = {"model": model} if model else {}  # another name is a text of the client
    closed = {"close": session.close.code, "ended_by": session.close.ended_by.value} if session.close else {}
    return {**known, "audio_s": rules.audio_s, **rules.counts, **closed}


def _first_config(sessions: Sessions, websocket: WebSocket) -> SessionConfig:
    """The configuration with which a session begins: of its client secret, and of the query's `model`.

    A model that does not exist is no error yet, because the update that follows may name another.
    """
    config = sessions.new_config()
    if secret := sessions.secrets.find(sent_key(websocket.scope)):
        config = config.updated(secret.session)
    model = websocket.query_params.get("model")
    return config.updated({"input_audio_transcription": {"model": model[:200]}}) if model else config


def _subprotocol(offered: list[str]) -> str | None:
    """The subprotocol to select, and never the one with the key. A browser that offers some needs one of them."""
    return next((each for each in (_PROTOCOL, _FLAT_PROTOCOL) if each in offered), None)


def _is_flat(websocket: WebSocket) -> bool:
    header = websocket.headers.get("openai-beta", "")
    return "realtime=v1" in header.replace(" ", "") or _FLAT_PROTOCOL in websocket.scope["subprotocols"]


async def _other_family_socket(websocket: WebSocket) -> None:
    raise _not_here(websocket)


async def _other_family(request: Request) -> None:
    raise _not_here(request)


def _not_here(connection: HTTPConnection) -> ServiceError:
    name = OTHER_FAMILIES.get(connection.scope["path"], "Other uses of the realtime API")
    message = f"{name} are not supported: RAPL transcribes. Open a WebSocket at /v1/realtime?intent=transcription."
    return ServiceError(ErrorCode.NOT_FOUND, message)


def _add(paths: Mapping[str, str]) -> None:
    for path in paths:
        router.add_api_websocket_route(path, _other_family_socket)
        router.add_api_route(path, _other_family, methods=["GET", "POST"], include_in_schema=False)
    router.add_api_route(WEBSOCKET_PATH, _other_family, methods=["GET", "POST"], include_in_schema=False)


_add(OTHER_FAMILIES)

"""`python -m rapl_preprocess`: runs preprocess-service."""

from rapl_protocol.live_audio import MAX_LIVE_MESSAGE_BYTES
from rapl_service.http.websocket import GuardedWebSocket
from rapl_service.run import run

from rapl_preprocess.app import create_app
from rapl_preprocess.settings import Settings

if __name__ == "__main__":
    run(create_app, Settings, ws=GuardedWebSocket, max_ws_message_bytes=MAX_LIVE_MESSAGE_BYTES)

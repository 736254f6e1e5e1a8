"""`python -m rapl_preprocess`: runs preprocess-service."""

from rapl_service.http.websocket import GuardedWebSocket
from rapl_service.run import run

from rapl_preprocess.app import WEBSOCKET_OPTIONS, create_app
from rapl_preprocess.settings import Settings

if __name__ == "__main__":
    run(create_app, Settings, lambda _: WEBSOCKET_OPTIONS, ws=GuardedWebSocket)

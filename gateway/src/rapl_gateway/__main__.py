"""`python -m rapl_gateway`: runs the gateway."""

from rapl_service.http.websocket import GuardedWebSocket
from rapl_service.run import run

from rapl_gateway.app import create_app
from rapl_gateway.security.startup_checks import tls_of
from rapl_gateway.settings import Settings

if __name__ == "__main__":
    run(create_app, Settings, tls_of, drain_of=lambda settings: settings.drain_s, ws=GuardedWebSocket)

"""`python -m rapl_gateway`: runs the gateway."""

from rapl_protocol.service import run

from rapl_gateway.app import create_app
from rapl_gateway.exposure import tls_options
from rapl_gateway.settings import Settings

if __name__ == "__main__":
    run(create_app, Settings, tls_options)

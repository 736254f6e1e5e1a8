"""`python -m rapl_sensevoice`: runs sensevoice-service."""

from rapl_protocol.service import run

from rapl_sensevoice.app import create_app
from rapl_sensevoice.settings import Settings

if __name__ == "__main__":
    run(create_app, Settings)

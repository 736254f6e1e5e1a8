"""`python -m rapl_sensevoice`: runs sensevoice-service."""

from rapl_service.memory import share_one_arena
from rapl_service.run import run

from rapl_sensevoice.app import create_app
from rapl_sensevoice.settings import Settings

if __name__ == "__main__":
    share_one_arena()
    run(create_app, Settings)

"""`python -m rapl_preprocess`: runs preprocess-service."""

from rapl_protocol.service import run

from rapl_preprocess.app import create_app
from rapl_preprocess.settings import Settings

if __name__ == "__main__":
    run(create_app, Settings)

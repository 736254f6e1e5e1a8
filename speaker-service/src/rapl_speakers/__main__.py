"""`python -m rapl_speakers`: runs speaker-service."""

import os

from rapl_service.memory import share_one_arena
from rapl_service.run import run

from rapl_speakers.app import create_app
from rapl_speakers.settings import Settings

_NICE = 10
"""Speakers must not slow transcription down: with this value, the other services get nine tenths of a busy core."""

if __name__ == "__main__":
    share_one_arena()
    os.nice(_NICE)
    run(create_app, Settings)

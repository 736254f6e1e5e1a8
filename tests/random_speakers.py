"""`python -m random_speakers`: the real speaker-service with small random networks, which hear one person everywhere.

It is for tests of what does not depend on voices, such as processes that die.
"""

from checkpoints import random_weights
from fastapi import FastAPI
from rapl_service.run import run
from rapl_speakers.app import speakers_app
from rapl_speakers.service import SpeakerService
from rapl_speakers.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    settings.model_dir.mkdir(parents=True, exist_ok=True)
    weights = random_weights(settings.model_dir)
    return speakers_app(SpeakerService(weights, settings.rules, settings.threads, settings.max_queue), settings)


if __name__ == "__main__":
    run(create_app, Settings)

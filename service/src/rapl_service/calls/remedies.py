"""Sentences that say how to fix a problem, for both the API's errors and `rapl doctor`. Each names only what exists on
every system, except Docker, which `without_docker` leaves out."""

from rapl_protocol.models import ModelState

START = "`docker compose up` or `./rapl up`"
"""The commands that start every service, and that download SenseVoiceSmall."""
PREPARE_IN_COMPOSE = "`docker compose up -d --force-recreate prepare-model`"
"""The command that downloads SenseVoiceSmall in containers."""
OR_PREPARE_IN_COMPOSE = f", or in Compose {PREPARE_IN_COMPOSE}"
"""It follows the command for this machine."""
START_SERVICES = f"Start it with {START}."
START_MLX = "Start it with `./rapl mlx`, on a Mac with Apple silicon."
START_SPEAKERS = "Start it with `docker compose --profile speakers up` or `./rapl up --speakers`."
WAIT_UNTIL_READY = "Wait until it is ready; `./rapl doctor` shows it."
SEND_AGAIN = "Send the request again later."
RAISE_DEADLINE = "If it is only slow, raise RAPL_DEADLINE_BASE_S or RAPL_DEADLINE_PER_AUDIO_S; else look at its log."
FREE_TEMPORARY_SPACE = (
    "Free space in its folder of temporary files, or choose another folder with the environment variable TMPDIR."
)


def same_token(service: str) -> str:
    return f"Set the same token for the gateway and for {service}, and restart both."


def make_ready(state: str, service: str) -> str:
    """What to do about a model that is not ready, if its engine gives no remedy.

    Args:
        state: the value of its `ModelState`.
        service: the name of its engine.
    """
    if state in (ModelState.DOWNLOADING, ModelState.LOADING):
        return WAIT_UNTIL_READY
    return f"Request it once, or look at the log of {service}."


def without_docker(sentence: str) -> str:
    """The sentence for a machine that has no Docker."""
    return sentence.replace(START, "`./rapl up`").replace(OR_PREPARE_IN_COMPOSE, "")

"""speaker-service and its model, as the gateway sees them. A gateway without one has no lines about it."""

from collections.abc import Iterator, Mapping
from typing import Any

from rapl_cli.checks.check import Check

_SERVICE = "speaker-service"


def speakers(status: Mapping[str, Any]) -> Iterator[Check]:
    """The service, one line for each of its processes if it has several, and its model.

    Args:
        status: the gateway's answer to GET /v1/status.
    """
    found = status.get("speakers")
    if found is None:
        return
    problem = next((each for each in status["problems"] if each["subject"] == _SERVICE), None)
    if problem and problem["status"] == "skipped":
        yield Check.skipped(_SERVICE, "not running; `./rapl up --speakers` starts it")
        return
    if problem and found["model"]["state"] == "unreachable":
        yield Check.warning(_SERVICE, problem["reason"], problem["remedy"] or "Look at its log.")
        return
    yield Check.ok(_SERVICE, "the gateway reaches it")
    yield from _lost_processes(found["replicas"])
    model = found["model"]
    if problem:
        yield Check.warning("model", problem["reason"], problem["remedy"] or "Look at the log of speaker-service.")
    else:
        yield Check.ok("model", f"{model['id']} is {model['state']}")


def _lost_processes(replicas: list[dict[str, Any]]) -> Iterator[Check]:
    for each in replicas:
        if each["state"] == "unreachable":
            message = f"{_SERVICE} at {each['host']} cannot be reached"
            yield Check.warning("replica", message, "Start it, or remove it from RAPL_SPEAKERS_URL.")

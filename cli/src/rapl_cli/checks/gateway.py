"""What the gateway answers: whether it can be reached, its services, its models, and the transcript of the sample."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
from rapl_service.calls.remedies import START_SERVICES, make_ready

from rapl_cli.checkout import SAMPLE, SAMPLE_MODEL, SAMPLE_TEXT
from rapl_cli.checks import connection, engines
from rapl_cli.checks.check import Check, Scene, Status
from rapl_cli.checks.speakers import speakers

_TIMEOUT = httpx.Timeout(5.0, connect=2.0)
_TRANSCRIPTION_LIMIT_S = 120.0


@dataclass
class _Answers:
    """The gateway's answers, as far as they arrived."""

    live: httpx.Response
    ready: dict[str, Any]
    models: httpx.Response
    status: dict[str, Any]
    """The answer to GET /v1/status; empty if the gateway did not give it."""
    models_without_key: int
    """The status of the list of models for a request without a key."""
    listed: list[dict[str, Any]] = field(default_factory=list)

    @property
    def default_model(self) -> str | None:
        return self.ready.get("model")


def gateway(scene: Scene) -> Iterator[Check]:
    """The gateway, and all that can be asked only if it answers."""
    with httpx.Client(**scene.address.client_options(), timeout=_TIMEOUT) as http:
        try:
            answers = _answers(http)
        except httpx.HTTPError as error:
            yield _unreachable(scene, error)
            return
        if answers is None:
            yield _not_a_gateway(scene)
            return
        yield Check.ok("gateway", f"answers at {scene.address.url}")
        yield connection.clock(scene, answers.live.headers.get("date"))
        yield connection.api_key(scene, answers.models_without_key, answers.models.status_code)
        if not answers.models.is_success:
            if answers.models.status_code != 401:
                yield _refused(answers.models)
            return
        yield from engines.services(scene, answers.ready, answers.listed)
        yield from _models(scene, answers)
        yield from speakers(answers.status)
        yield _self_test(http, answers)


def _answers(http: httpx.Client) -> _Answers | None:
    """None if the program is no gateway. Raises: httpx.HTTPError."""
    live, ready, models = http.get("/health/live"), http.get("/health/ready"), http.get("/v1/models")
    status = http.get("/v1/status")
    without_key = http.get("/v1/models", headers={"authorization": ""})
    try:
        if live.is_success and live.json()["status"] != "ok":
            return None
        known = status.json() if status.is_success else {}
        found = _Answers(live, ready.json(), models, known, without_key.status_code)
        if models.is_success:
            found.listed = models.json()["data"]
        return found if "problems" in found.ready or "error" in found.ready else None
    except (ValueError, LookupError, TypeError):
        return None


def _unreachable(scene: Scene, error: httpx.HTTPError) -> Check:
    remedy = START_SERVICES
    if not scene.address.is_local:
        remedy = "Start it there, and check --url. It must listen on a network address (RAPL_HOST or RAPL_PUBLISH)."
    elif isinstance(error, httpx.TimeoutException):
        remedy = "If the line of its port names another program, set RAPL_PORT; else restart the gateway."
    return Check.failed("gateway", f"{scene.address.url}: {scene.address.reason(error)}", remedy)


def _not_a_gateway(scene: Scene) -> Check:
    local = "Set RAPL_PORT to a free port, and start the gateway there."
    remedy = local if scene.address.is_local else "Set --url to the gateway's address."
    return Check.failed("gateway", f"the program at {scene.address.url} is not a RAPL gateway", remedy)


def _refused(answer: httpx.Response) -> Check:
    """The gateway's own reason for refusing the list of models, such as a host name that it does not allow."""
    try:
        reason, _, remedy = answer.json()["error"]["message"].partition(". ")
    except (ValueError, LookupError, TypeError):
        reason, remedy = f"it answered with status {answer.status_code}", ""
    return Check.failed("models", f"{reason}.", remedy or "Look at the gateway's log.")


def _models(scene: Scene, answers: _Answers) -> Iterator[Check]:
    """The default model first. Only it has to be ready."""
    own = [model for model in answers.listed if model["id"] == model["engine_model"]]
    default = next((model for model in answers.listed if model["id"] == answers.default_model), None)
    if default:
        yield _model("default model", default, Status.FAILED)
    elif reason := answers.ready.get("reason"):
        yield Check.failed("default model", reason, "Set RAPL_DEFAULT_MODEL to a model that the gateway lists.")
    for model in own:
        is_default = default is not None and model["engine_model"] == default["engine_model"]
        if not is_default and model["state"] != "unreachable":  # then the line of its service says it
            yield _model("model", model, Status.WARNING if model["state"] == "failed" else Status.SKIPPED)


def _model(name: str, model: dict[str, Any], if_not_ready: Status) -> Check:
    text = model["id"] if model["id"] == model["engine_model"] else f"{model['id']} ({model['engine_model']})"
    if model["state"] == "ready":
        return Check.ok(name, f"{text} is ready")
    text += f": {model['state']}"
    progress = model.get("progress") or {}
    if progress.get("total_bytes"):
        text += f", {progress['done_bytes'] / progress['total_bytes']:.0%}"
    if model.get("reason"):
        text += f" ({model['reason'].rstrip('.')})"
    if if_not_ready is Status.SKIPPED:
        return Check.skipped(name, text)
    remedy = model.get("remedy") or make_ready(model["state"], model["owned_by"])
    return Check(name, if_not_ready, text, remedy)


def _self_test(http: httpx.Client, answers: _Answers) -> Check:
    """Transcribes the sample with the self-test model."""
    if not any(m["id"] == SAMPLE_MODEL and m["state"] == "ready" for m in answers.listed):
        return Check.skipped("self-test", f"{SAMPLE_MODEL} is not ready")
    form = {"data": {"model": SAMPLE_MODEL}, "files": {"file": (SAMPLE.name, SAMPLE.read_bytes())}}
    try:
        answer = http.post("/v1/audio/transcriptions", **form, timeout=_TRANSCRIPTION_LIMIT_S)
        body = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        return Check.failed("self-test", f"no transcript: {type(error).__name__}", "Look at the gateway's log.")
    if not answer.is_success:
        reason, _, remedy = body["error"]["message"].partition(". ")
        return Check.failed("self-test", f"{reason.rstrip('.')}.", remedy or "Look at the gateway's log.")
    if body["text"] != SAMPLE_TEXT:
        remedy = "Check with `git status` whether the sample has changed, and start the services again."
        return Check.failed("self-test", f"the transcript of {SAMPLE.name} is wrong", remedy)
    return Check.ok("self-test", f"transcribed {SAMPLE.name} as {body['text']!r}")

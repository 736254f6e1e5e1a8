"""Replicas, upgrades and the end of the containers, while requests are in work."""

import re
from collections.abc import Callable

import pytest
from containers import PORT, SERVICES, changed, compose, container_ids, docker, inspected, logs, state_of, up, words
from openai import OpenAI
from services import under_load, until

pytestmark = pytest.mark.docker


def texts_under_load(client: OpenAI, sample: bytes, requests: int, strike: Callable[[], object]) -> list[str]:
    def send(request_id: str) -> str:
        file, headers = ("sample.wav", sample), {"x-request-id": request_id}
        return client.audio.transcriptions.create(file=file, model="rapl/selftest", extra_headers=headers).text

    return under_load(f"http://127.0.0.1:{PORT}", send, requests, strike)


def two_replicas() -> list[str]:
    """Returns the ids of two containers of sensevoice-service, when the gateway has found both."""
    up("--scale", "sensevoice-service=2", "--no-recreate")
    found = re.compile(r"backend=sensevoice address=http://[\d.]+:8020 added")
    until("both are found", lambda: len(set(found.findall(compose("logs", "gateway")))) >= 2)
    return container_ids("sensevoice-service")


def test_both_of_two_sensevoice_replicas_get_work(client, sample):
    two_replicas()

    texts = texts_under_load(client, sample, 20, lambda: None)

    assert texts == ["3 1 4 1 5 9."] * 20
    log = compose("logs", "--no-color", "sensevoice-service")
    assert len(set(re.findall(r'(sensevoice-service-\d+) .*"method": "POST"', log))) == 2


def test_no_request_fails_when_one_of_two_sensevoice_replicas_is_killed(client, sample):
    one, other = two_replicas()
    docker("update", "--restart=no", one)

    texts = texts_under_load(client, sample, 20, lambda: docker("kill", one))

    assert texts == ["3 1 4 1 5 9."] * 20
    assert container_ids("sensevoice-service") == [other]
    up()


def test_no_accepted_request_fails_when_an_upgrade_replaces_the_gateway_and_the_engine(client, sample):
    """An upgrade, as `docker compose up` sees it: containers whose image or settings differ are made again."""
    until("the self-test model is ready", lambda: state_of(client, "rapl/selftest") == "ready")
    before = {name: container_ids(name) for name in SERVICES}
    upgrade = changed(RAPL_MAX_QUEUE_S="900", RAPL_SENSEVOICE_MAX_QUEUE="31")
    try:
        texts = texts_under_load(client, sample, 12, upgrade.__enter__)

        assert texts == ["3 1 4 1 5 9."] * 12
        after = {name: container_ids(name) for name in SERVICES}
        assert [name for name in SERVICES if after[name] != before[name]] == ["gateway", "sensevoice-service"]
        environ = {name: inspected(after[name][0])["Config"]["Env"] for name in SERVICES}
        assert "RAPL_MAX_QUEUE_S=900" in environ["gateway"]
        assert "RAPL_SENSEVOICE_MAX_QUEUE=31" in environ["sensevoice-service"]
        until("the self-test model is ready", lambda: state_of(client, "rapl/selftest") == "ready")
        assert words(client, sample, "rapl/selftest") == "3 1 4 1 5 9."
    finally:
        upgrade.__exit__(None, None, None)


def test_no_request_fails_when_all_services_stop_under_load_and_every_exit_code_is_0(client, sample):
    until("the self-test model is ready", lambda: state_of(client, "rapl/selftest") == "ready")
    running = {name: container_ids(name) for name in SERVICES}

    texts = texts_under_load(client, sample, 12, lambda: compose("stop"))

    assert texts == ["3 1 4 1 5 9."] * 12
    codes = {name: {inspected(each)["State"]["ExitCode"] for each in ids} for name, ids in running.items()}
    assert codes == {name: {0} for name in SERVICES}, logs()
    up()

"""After SIGTERM under load a service finishes the requests that it has accepted, and exits with 0."""

from collections.abc import Callable
from functools import partial

import httpx
import pytest
from media import as_media
from services import SELFTEST, Fleet, under_load

WORDS = ["3", "1", "4", "1", "5", "9"]


def answers_under_load(fleet: Fleet, file: bytes, strike: Callable[[], object]) -> list[httpx.Response]:
    return under_load(fleet.url, partial(fleet.transcribe, file, SELFTEST), 4, strike)


def words(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return answer.json()["text"].replace(".", "").split()


def test_a_gateway_that_gets_sigterm_finishes_its_requests_and_exits_with_0(fleet, sample_pcm):
    codes: list[int] = []
    try:
        answers = answers_under_load(
            fleet, as_media(sample_pcm * 4, "flac"), lambda: codes.append(fleet.gateway.stop())
        )
    finally:
        fleet.gateway.start()
        fleet.wait_for(SELFTEST)

    assert codes == [0]
    assert [words(answer) for answer in answers] == [WORDS * 4] * 4


@pytest.mark.parametrize("name", ["sensevoice", "preprocess"])
def test_a_service_that_gets_sigterm_under_load_exits_with_0_and_no_request_fails(fleet, sample_pcm, name):
    """An engine's start may be slow on a busy machine, so the gateway waits for a restart for up to 100 s."""
    service, codes = getattr(fleet, name), []
    fleet.gateway.stop()
    fleet.gateway.start(RAPL_RESTART_WAIT_S="100")
    fleet.wait_for(SELFTEST)

    def restart() -> None:
        codes.append(service.stop())
        service.start()

    try:
        answers = answers_under_load(fleet, as_media(sample_pcm * 4, "flac"), restart)
    finally:
        fleet.gateway.stop()
        fleet.gateway.start(RAPL_RESTART_WAIT_S="")
        fleet.wait_for(SELFTEST)

    assert codes == [0]
    assert [words(answer) for answer in answers] == [WORDS * 4] * 4

"""SIGTERM under load: what was accepted is finished, and the exit code is 0."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import pytest
from media import as_media

SELFTEST = "rapl/selftest"
WORDS = ["3", "1", "4", "1", "5", "9"]


def under_load(fleet, file: bytes, requests: int, strike: Callable[[], None]) -> list[httpx.Response]:
    """Sends as many requests at once, strikes when the gateway is at work on them, and gives all answers."""
    with ThreadPoolExecutor(requests) as pool:
        sent: list[Future[httpx.Response]] = [pool.submit(fleet.transcribe, file, SELFTEST) for _ in range(requests)]
        time.sleep(0.5)
        strike()
        return [each.result() for each in sent]


def words(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return answer.json()["text"].replace(".", "").split()


def test_a_gateway_that_is_told_to_stop_finishes_what_it_has_accepted_and_ends_with_0(fleet, sample_pcm):
    codes: list[int] = []
    try:
        answers = under_load(fleet, as_media(sample_pcm * 4, "flac"), 4, lambda: codes.append(fleet.gateway.stop()))
    finally:
        fleet.gateway.start()
        fleet.wait_for(SELFTEST)

    assert codes == [0]
    assert [words(answer) for answer in answers] == [WORDS * 4] * 4


@pytest.mark.parametrize("name", ["sensevoice", "preprocess"])
def test_a_service_that_is_told_to_stop_under_load_ends_with_0_and_loses_nothing(fleet, sample_pcm, name):
    """How long an engine loads depends on the machine; the gateway is told to wait for as long as that may be."""
    service, codes = getattr(fleet, name), []
    fleet.gateway.stop()
    fleet.gateway.start(RAPL_RESTART_WAIT_S="100")
    fleet.wait_for(SELFTEST)

    def restart() -> None:
        codes.append(service.stop())
        service.start()

    try:
        answers = under_load(fleet, as_media(sample_pcm * 4, "flac"), 4, restart)
    finally:
        fleet.gateway.stop()
        fleet.gateway.start(RAPL_RESTART_WAIT_S="")
        fleet.wait_for(SELFTEST)

    assert codes == [0]
    assert [words(answer) for answer in answers] == [WORDS * 4] * 4

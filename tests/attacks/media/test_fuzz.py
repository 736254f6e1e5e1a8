"""A few hundred damaged files from `tests/fuzz_media.py`, always the same ones."""

import fuzz_media
import httpx
import pytest
from fuzz_media import CONTAINERS
from services import ServiceProcess


@pytest.mark.parametrize("seed", [1, 2])
def test_damaged_files_are_decoded_or_refused_with_a_reason(service: ServiceProcess, send, seed: int):
    report = fuzz_media.fuzz(service.url, 300, seed)

    assert report.failures == []
    assert report.answers["200"] > 50
    assert report.answers["400 audio_undecodable"] > 50


def test_through_the_gateway_a_damaged_file_gives_a_text_or_a_reason(fleet):
    report = fuzz_media.fuzz(fleet.gateway.url, 200, 3, model="rapl/selftest")

    assert report.failures == []
    assert report.answers["200"] > 30
    assert report.answers["400 audio_undecodable"] > 30


@pytest.mark.parametrize("name", [*CONTAINERS, "ogg-vorbis"])
def test_every_seed_is_a_file_that_can_be_decoded(send, name: str):
    answer: httpx.Response = send(fuzz_media.seeds()[name])

    assert answer.status_code == 200
    assert b'"type": "end"' in answer.content

"""The load generator sends the requests that it counts."""

import httpx
import pytest
from rapl_bench.fleet import set_engine_ms
from rapl_bench.load import LoadError, post, run_load, transcription
from rapl_bench.stub_engine import MODEL
from rapl_protocol.testing import make_tone

WAV = make_tone(5.0).to_wav()


def calls(stub) -> int:
    return httpx.get(f"{stub.url}/stub/calls").json()["calls"]


@pytest.mark.parametrize("at_once", [1, 16])
def test_every_request_is_sent_once_and_has_its_latency(stub, at_once):
    load = run_load(transcription(stub.url, WAV, "a.wav", MODEL), at_once=at_once, count=40)

    assert len(load.latencies_s) == calls(stub) == 40


def test_a_query_is_sent_with_its_path():
    call = post("http://127.0.0.1:1/v1/prepare?speech_detection=off", b"media", "application/octet-stream")

    assert call.payload.startswith(b"POST /v1/prepare?speech_detection=off HTTP/1.1\r\n")


def test_no_latency_is_shorter_than_the_engines_time(stub):
    set_engine_ms(stub, 50)

    load = run_load(transcription(stub.url, WAV, "a.wav", MODEL), at_once=4, count=8)

    assert min(load.latencies_s) >= 0.049
    assert load.took_s >= 2 * 0.049


def test_with_a_time_limit_every_connection_sends_at_least_one_request(stub):
    load = run_load(transcription(stub.url, WAV, "a.wav", MODEL), at_once=4, for_s=0.0)

    assert len(load.latencies_s) == calls(stub) == 4


def test_a_refused_request_ends_the_measurement(stub):
    with pytest.raises(LoadError, match="404"):
        run_load(post(f"{stub.url}/nowhere", b"body", "text/plain"), at_once=1, count=1)

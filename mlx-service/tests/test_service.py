"""The real service with a real model: requests, failures of its processes, and its end."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlx_service_process import RunningService, StartService, is_running, until
from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.transcript import TranscribeOptions, Transcript
from rapl_service.calls.clients import TranscriberClient

SPOKEN = "three one four one five nine"
A, B = "digits/a", "digits/b"
DEADLINE_S = 100

ClientOf = Callable[[RunningService], TranscriberClient]


@pytest.fixture(scope="module")
def service(start_service: StartService, digits: Path) -> Iterator[RunningService]:
    """Two models, both ready; a request may take 20 s."""
    models = f"{A}={digits},{B}={digits},missing/model={digits.parent / 'nothing'}"
    settings = {"PRELOAD": f"{A},{B}", "DEADLINE_BASE_S": 20, "DEADLINE_PER_AUDIO_S": 0, "LOAD_WAIT_S": 100}
    with start_service(MODELS=models, **settings) as service:
        for model_id in (A, B):
            service.wait_for(model_id, "ready")
        yield service


@pytest.fixture
def client(client_of: ClientOf, service: RunningService) -> TranscriberClient:
    return client_of(service)


async def transcribe(client: TranscriberClient, audio: WavAudio, model: str = A, **given: object) -> Transcript:
    options = TranscribeOptions.model_validate({"model": model, **given})
    return await client.transcribe(audio, options, deadline_s=DEADLINE_S)


@pytest.mark.parametrize("given", [{}, {"language": "en"}, {"prompt": "digits"}, {"temperature": 0.0}])
async def test_speech_becomes_text(client: TranscriberClient, speech: WavAudio, given: dict[str, object]):
    transcript = await transcribe(client, speech, **given)

    assert (transcript.text, transcript.language) == (SPOKEN, "en")
    assert [(s.start_s, s.end_s) for s in transcript.segments] == [(0.0, speech.duration_s)]


@pytest.mark.parametrize("given", [{}, {"language": "en"}])
async def test_words_are_streamed_one_by_one_and_joined_they_are_the_text(
    client: TranscriberClient, speech: WavAudio, given: dict[str, object]
):
    options = TranscribeOptions.model_validate({"model": A, **given})

    *texts, transcript = [t async for t in client.stream(speech, options, deadline_s=DEADLINE_S)]

    assert isinstance(transcript, Transcript)
    assert transcript.text == "".join(str(text) for text in texts) == SPOKEN
    assert len(texts) == len(SPOKEN.split())


async def test_audio_in_a_language_that_is_not_listed_is_heard_again_in_the_first_listed_one(
    client: TranscriberClient, speech: WavAudio
):
    other = await transcribe(client, speech, languages=("zh", "de"))
    detected = await transcribe(client, speech, languages=("de", "en"))

    assert other == await transcribe(client, speech, language="zh")
    assert other.language == "zh"
    assert (detected.text, detected.language) == (SPOKEN, "en")


async def test_a_stream_continues_after_its_process_died_and_repeats_no_word(
    service: RunningService, client: TranscriberClient, long_speech: WavAudio
):
    stream = client.stream(long_speech, TranscribeOptions(model=A), deadline_s=DEADLINE_S)
    texts = [str(await anext(stream))]
    for pid in service.children():
        os.kill(pid, signal.SIGKILL)

    *rest, transcript = [t async for t in stream]

    assert isinstance(transcript, Transcript)
    assert "".join([*texts, *(str(text) for text in rest)]) == transcript.text


async def test_silence_and_empty_audio_are_answered(client: TranscriberClient):
    for audio in (WavAudio(bytes(32_000)), WavAudio(b"")):
        assert (await transcribe(client, audio)).duration_s == audio.duration_s


@pytest.mark.parametrize(
    ("given", "param"), [({"word_timestamps": True}, "timestamp_granularities"), ({"language": "fr-FR"}, "language")]
)
async def test_an_unsupported_option_is_refused_and_the_error_names_it(
    client: TranscriberClient, speech: WavAudio, given: dict[str, object], param: str
):
    with pytest.raises(ServiceError) as caught:
        await transcribe(client, speech, **given)

    assert (caught.value.code, caught.value.param) == (ErrorCode.UNSUPPORTED_PARAMETER, param)


async def test_requests_to_two_models_are_answered_concurrently(client: TranscriberClient, speech: WavAudio):
    transcripts = await asyncio.gather(*(transcribe(client, speech, model) for model in (A, B, A, B, B, A)))

    assert [t.text for t in transcripts] == [SPOKEN] * 6


async def test_an_unknown_model_is_404_and_the_error_names_the_setting(client: TranscriberClient, speech: WavAudio):
    with pytest.raises(ServiceError, match="RAPL_MLX_MODELS") as caught:
        await transcribe(client, speech, "someone/else")

    assert caught.value.status == 404


async def test_a_model_whose_folder_is_missing_fails_with_a_reason(service: RunningService):
    assert service.post("/v1/models/missing/model/load").status_code == 200
    info = service.wait_for("missing/model", "failed")

    assert "no folder" in info["reason"]
    assert "RAPL_MLX_MODELS" in info["remedy"]


async def test_an_unloaded_model_has_no_process_and_the_next_request_loads_it(
    service: RunningService, client: TranscriberClient, speech: WavAudio
):
    before = service.children()
    assert (await client.unload(B)).state == "absent"
    assert len(service.children()) == len(before) - 1
    assert (await transcribe(client, speech, B)).text == SPOKEN


async def test_a_folder_of_the_operator_is_not_removed(service: RunningService, client: TranscriberClient):
    with pytest.raises(ServiceError, match="Delete that folder yourself") as caught:
        await client.remove(B)

    assert caught.value.code is ErrorCode.UNSUPPORTED_PARAMETER
    service.wait_for(B, "ready")


async def test_a_model_can_be_unloaded_and_loaded(service: RunningService, client: TranscriberClient):
    await client.unload(B)
    assert (await client.load(B)).state in ("loading", "ready")
    service.wait_for(B, "ready")


def process_of(service: RunningService, model_id: str) -> int:
    """The id of the model's newest process."""
    started = [line for line in service.log.splitlines() if f"model={model_id} pid=" in line and "started" in line]
    return int(started[-1].split("pid=")[1].split()[0])


def is_transcribing(service: RunningService) -> bool:
    """Whether a request is running: then its audio is in the folder of its process."""
    return any(service.temporary.glob("rapl-mlx-*/audio.wav"))


async def test_a_request_survives_the_death_of_its_process(
    service: RunningService, client: TranscriberClient, speech: WavAudio, long_speech: WavAudio
):
    expected = await transcribe(client, long_speech)
    requests = [asyncio.create_task(transcribe(client, audio)) for audio in (long_speech, speech)]
    await asyncio.to_thread(until, lambda: is_transcribing(service), service)
    os.kill(process_of(service, A), signal.SIGKILL)

    assert [(await request).text for request in requests] == [expected.text, SPOKEN]
    assert "the request runs once more" in service.log


async def test_a_request_whose_process_dies_twice_is_an_error_and_the_next_request_works(
    service: RunningService, client: TranscriberClient, speech: WavAudio, long_speech: WavAudio
):
    service.wait_for(A, "ready")
    request = asyncio.create_task(transcribe(client, long_speech))
    for _ in range(2):
        await asyncio.to_thread(service.wait_for, A, "ready")  # the test sound of a new process has been transcribed
        await asyncio.to_thread(until, lambda: is_transcribing(service), service)
        pid = process_of(service, A)
        os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(until, lambda pid=pid: process_of(service, A) != pid, service)

    with pytest.raises(ServiceError, match="2 times") as caught:
        await request
    assert caught.value.code is ErrorCode.INTERNAL
    assert (await transcribe(client, speech)).text == SPOKEN


async def test_a_suspended_process_is_killed_before_the_deadline_and_its_request_gets_its_text(
    service: RunningService, client: TranscriberClient, speech: WavAudio
):
    service.wait_for(A, "ready")
    stopped = process_of(service, A)
    os.kill(stopped, signal.SIGSTOP)

    assert (await transcribe(client, speech)).text == SPOKEN
    assert not is_running(stopped)
    assert "it did not respond" in service.log


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT])
async def test_twenty_concurrent_requests_all_get_their_text_although_their_process_dies(
    service: RunningService, client: TranscriberClient, speech: WavAudio, number: signal.Signals
):
    service.wait_for(A, "ready")
    requests = [asyncio.create_task(transcribe(client, speech)) for _ in range(20)]
    await asyncio.wait(requests, return_when=asyncio.FIRST_COMPLETED)
    assert not all(request.done() for request in requests)
    os.kill(process_of(service, A), number)

    assert [transcript.text for transcript in await asyncio.gather(*requests)] == [SPOKEN] * 20
    assert f"how='signal {number.name}'" in service.log


async def test_decoding_stops_between_two_words_when_the_client_leaves(
    service: RunningService, client: TranscriberClient, speech: WavAudio, long_speech: WavAudio
):
    service.wait_for(A, "ready")
    stream = client.stream(long_speech, TranscribeOptions(model=A), deadline_s=DEADLINE_S)
    await anext(stream)
    await stream.aclose()

    assert (await transcribe(client, speech)).text == SPOKEN
    assert "stopped decoding" in service.log


def test_no_audio_of_a_request_stays_on_disk(service: RunningService):
    work_dirs = list(service.temporary.glob("rapl-mlx-*"))

    assert len(work_dirs) == len(service.children())
    assert not [path for work_dir in work_dirs for path in work_dir.iterdir()]


async def test_a_request_that_exceeds_its_deadline_is_an_error_and_its_process_is_restarted(
    start_service: StartService, digits: Path, long_speech: WavAudio, client_of: ClientOf
):
    with start_service(MODELS=f"{A}={digits}", DEADLINE_BASE_S=0.05, DEADLINE_PER_AUDIO_S=0) as service:
        service.wait_for(A, "ready")
        [hung] = service.children()
        with pytest.raises(ServiceError) as caught:
            await transcribe(client_of(service), long_speech)
        service.wait_for(A, "ready")

        assert caught.value.code is ErrorCode.BACKEND_TIMEOUT
        assert not is_running(hung)


async def test_a_full_queue_is_429(start_service: StartService, digits: Path, speech: WavAudio, client_of: ClientOf):
    with start_service(MODELS=f"{A}={digits}", MAX_QUEUE=1) as service:
        service.wait_for(A, "ready")
        requests = [transcribe(client_of(service), speech) for _ in range(8)]
        answers = await asyncio.gather(*requests, return_exceptions=True)

    refused = [a for a in answers if isinstance(a, ServiceError)]
    assert {a.code for a in refused} == {ErrorCode.OVERLOADED}
    assert 0 < len(refused) < len(answers)


def test_stopping_the_service_ends_every_process(start_service: StartService, digits: Path):
    with start_service(MODELS=f"{A}={digits},{B}={digits}", PRELOAD=f"{A},{B}") as service:
        service.wait_for(B, "ready")
        children = service.children()
        assert len(children) == 2

    assert service.process.returncode in (0, -signal.SIGTERM)
    assert not any(map(is_running, children))


def test_no_process_outlives_a_service_that_was_killed(start_service: StartService, digits: Path):
    with start_service(MODELS=f"{A}={digits}") as service:
        service.wait_for(A, "ready")
        [child] = service.children()
        service.process.kill()
        until(lambda: not is_running(child), service)


def test_a_model_that_loads_too_slowly_fails(start_service: StartService, digits: Path):
    with start_service(MODELS=f"{A}={digits}", LOAD_TIMEOUT_S=0.2) as service:
        assert "did not load within 0.2 s" in service.wait_for(A, "failed")["reason"]


def test_the_http_process_never_imports_mlx(mlx_python: str):
    program = (
        "import sys, rapl_mlx.__main__, rapl_mlx.transcriber as t, rapl_mlx.settings as s\n"
        "rapl_mlx.__main__.create_app(s.Settings())\n"
        "heavy = {'mlx', 'mlx_audio', 'numpy', 'transformers', 'huggingface_hub'} & set(sys.modules)\n"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    subprocess.run([mlx_python, "-c", program], check=True, timeout=60)

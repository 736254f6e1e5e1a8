"""The typed clients against the real server around a fake engine."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import pytest
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.frames import encode_frame
from rapl_protocol.intervals import Interval
from rapl_protocol.models import ModelInfo, ModelState
from rapl_protocol.prepared import PrepareEnd, PrepareOptions, SourceInfo, SpeechCheck, SpeechSegment
from rapl_protocol.testing import FakeTranscriber, make_tone
from rapl_protocol.transcript import TranscribeOptions, Transcript
from rapl_service.calls.call import Http, Service, open_http
from rapl_service.calls.clients import DecodedClip, PreprocessClient, TranscriberClient
from rapl_service.engine_app import transcriber_app
from rapl_service.http.errors import error_response
from rapl_service.testing import served
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

OPTIONS = TranscribeOptions(model="fake/model", language="en", prompt="Käse\nund Brot", temperature=0.2)
SPEECH = make_tone(0.2)
NOT_RUNNING = Service("mlx-service", "http://127.0.0.1:9", "Start it with `./rapl mlx`.")


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with open_http() as http:
        yield http


def service(url: str) -> Service:
    return Service("engine", url, "Look at its log.")


async def test_an_engine_receives_what_the_client_was_given_and_the_client_what_it_answers(http: Http):
    engine = FakeTranscriber(text="three one four")
    async with served(transcriber_app(engine)) as url:
        transcript = await TranscriberClient(http, service(url)).transcribe(SPEECH, OPTIONS, deadline_s=5)

    [(audio, options)] = engine.calls
    assert bytes(audio.pcm) == SPEECH.pcm
    assert options == OPTIONS
    assert (transcript.text, transcript.language, transcript.duration_s) == ("three one four", "en", 0.2)
    assert transcript.segments[0].text == "three one four"


async def test_text_arrives_before_the_end_from_an_engine_that_decodes_word_by_word(http: Http):
    async with served(transcriber_app(FakeTranscriber(text="three one four", streams=True))) as url:
        stream = TranscriberClient(http, service(url)).stream(SPEECH, OPTIONS, deadline_s=5)
        *texts, transcript = [item async for item in stream]

    assert texts == ["three", " one", " four"]
    assert isinstance(transcript, Transcript)
    assert transcript.text == "three one four"


@pytest.mark.parametrize(
    ("engine", "code"),
    [
        (FakeTranscriber("another/model"), ErrorCode.MODEL_NOT_FOUND),
        (FakeTranscriber(fails_with=ServiceError(ErrorCode.OVERLOADED, "full")), ErrorCode.OVERLOADED),
        (FakeTranscriber(crashes=True), ErrorCode.BACKEND_UNAVAILABLE),
    ],
)
async def test_a_stream_that_fails_raises_an_error(http: Http, engine: FakeTranscriber, code: ErrorCode):
    async with served(transcriber_app(engine)) as url:
        with pytest.raises(ServiceError) as caught:
            [item async for item in TranscriberClient(http, service(url)).stream(SPEECH, OPTIONS, deadline_s=5)]

    assert caught.value.code is code


async def test_models_are_listed_with_their_state_and_can_be_unloaded_and_loaded(http: Http):
    async with served(transcriber_app(FakeTranscriber("a/b", "c"))) as url:
        client = TranscriberClient(http, service(url))
        assert [(m.id, m.state) for m in await client.models()] == [("a/b", "ready"), ("c", "ready")]
        assert (await client.unload("a/b")).state is ModelState.ABSENT
        assert (await client.load("a/b")).state is ModelState.READY


@pytest.mark.parametrize(
    ("engine", "code"),
    [
        (FakeTranscriber("another/model"), ErrorCode.MODEL_NOT_FOUND),
        (FakeTranscriber(state=ModelState.DOWNLOADING), ErrorCode.MODEL_NOT_READY),
        (FakeTranscriber(fails_with=ServiceError(ErrorCode.OVERLOADED, "full", retry_after_s=3)), ErrorCode.OVERLOADED),
        (FakeTranscriber(crashes=True), ErrorCode.INTERNAL),
    ],
)
async def test_an_engines_failure_reaches_the_caller_with_its_code(
    http: Http, engine: FakeTranscriber, code: ErrorCode
):
    async with served(transcriber_app(engine)) as url:
        with pytest.raises(ServiceError) as caught:
            await TranscriberClient(http, service(url)).transcribe(SPEECH, OPTIONS, deadline_s=5)

    assert caught.value.code is code
    assert "crashed, as asked" not in caught.value.message


async def test_a_wrong_token_for_an_engine_is_a_503_and_not_a_401(
    http: Http,
):
    engine = FakeTranscriber(fails_with=ServiceError(ErrorCode.INVALID_API_KEY, "wrong token"))
    async with served(transcriber_app(engine)) as url:
        with pytest.raises(
            ServiceError, match=r"refused the token of the gateway\. Set the same token for "
        ) as failure:
            await TranscriberClient(http, Service("engine", url, "")).transcribe(
                make_tone(0.1), TranscribeOptions(model="fake/model"), deadline_s=5
            )

    assert failure.value.status == 503


async def test_the_error_for_a_service_that_does_not_run_has_its_address_and_remedy(http: Http):
    with pytest.raises(ServiceError) as caught:
        await TranscriberClient(http, NOT_RUNNING).transcribe(SPEECH, OPTIONS, deadline_s=5)

    assert caught.value.code is ErrorCode.BACKEND_UNAVAILABLE
    for part in (NOT_RUNNING.name, NOT_RUNNING.url, NOT_RUNNING.remedy):
        assert part in caught.value.message


@pytest.mark.parametrize(
    "nonsense", [b"<html>It works!</html>", b"[]", b'{"text": 5}', b'{"models": [{"id": 1}]}', b""]
)
async def test_the_response_of_another_program_on_the_engines_port_is_an_error(http: Http, nonsense: bytes):
    async def answer(_: Request) -> Response:
        return Response(nonsense)

    async with served(Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])) as url:
        client = TranscriberClient(http, service(url))
        for asked in (client.models(), client.transcribe(SPEECH, OPTIONS, deadline_s=5), client.load("a model")):
            with pytest.raises(ServiceError, match="sent a response that is not") as caught:
                await asked
            assert caught.value.code is ErrorCode.BACKEND_UNAVAILABLE


async def test_a_redirect_is_an_error(http: Http):
    async def elsewhere(_: Request) -> Response:
        return Response(status_code=307, headers={"location": "http://127.0.0.1:9/"})

    async with served(Starlette(routes=[Route("/v1/models", elsewhere)])) as url:
        with pytest.raises(ServiceError, match="responded with 307"):
            await TranscriberClient(http, service(url)).models()


async def test_an_engine_that_does_not_answer_in_time_is_a_timeout(http: Http):
    async with served(transcriber_app(FakeTranscriber(delay_s=1))) as url:
        with pytest.raises(ServiceError) as caught:
            await TranscriberClient(http, service(url)).transcribe(SPEECH, OPTIONS, deadline_s=0.05)

    assert caught.value.code is ErrorCode.BACKEND_TIMEOUT


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"no header line", 400),
        (b'{"language": "en"}\n' + SPEECH.to_wav(), 400),
        (b'{"model": "fake/model"}\nnot audio', 400),
        (b'{"model": "fake/model"}\n' + make_tone(31).to_wav(), 413),
        (b'{"model": "fake/model"}\n' + bytes(4 << 20), 413),
    ],
)
async def test_a_bad_request_to_an_engine_is_refused_in_the_envelope(http: Http, body: bytes, status: int):
    async with (
        served(transcriber_app(FakeTranscriber())) as url,
        http.streams.post(f"{url}/v1/transcribe", data=io.BytesIO(body)) as answer,
    ):
        assert answer.status == status
        assert set((await answer.json())["error"]) == {"message", "type", "param", "code"}


async def test_health_says_live_at_once_and_ready_only_with_a_ready_model(http: Http):
    engine = FakeTranscriber(state=ModelState.LOADING)
    async with served(transcriber_app(engine)) as url:
        statuses = []
        for state in (ModelState.LOADING, ModelState.READY):
            engine.state = state
            for path in ("/health/live", "/health/ready"):
                async with http.streams.get(url + path) as answer:
                    statuses.append(answer.status)

    assert statuses == [200, 503, 200, 200]


class TwoModels(FakeTranscriber):
    """An engine of which one model is ready and one is still downloaded."""

    def models(self) -> list[ModelInfo]:
        states = {"a/ready": ModelState.READY, "b/downloading": ModelState.DOWNLOADING}
        return [ModelInfo(id=model, state=state) for model, state in states.items()]


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 200), ("?model=a/ready", 200), ("?model=b/downloading", 503), ("?model=c/unknown", 503)],
)
async def test_an_engine_is_ready_for_a_model_only_if_that_model_is(http: Http, query: str, status: int):
    async with (
        served(transcriber_app(TwoModels())) as url,
        http.streams.get(f"{url}/health/ready{query}") as answer,
    ):
        assert answer.status == status


async def test_a_given_request_id_is_kept_and_a_dangerous_one_replaced(http: Http):
    async with served(transcriber_app(FakeTranscriber())) as url:
        ids = []
        for given in ("req_mine", "two words"):
            async with http.streams.get(f"{url}/v1/models", headers={"x-request-id": given}) as answer:
                ids.append(answer.headers["x-request-id"])

    assert ids[0] == "req_mine"
    assert ids[1].startswith("req_")


def preprocess_stub(*frames: bytes) -> Starlette:
    """A stand-in for preprocess-service that answers these bytes, whatever comes in."""

    async def prepare(request: Request) -> StreamingResponse:
        await request.body()

        async def answer() -> AsyncIterator[bytes]:
            for frame in frames:
                yield frame
                await asyncio.sleep(0)

        return StreamingResponse(answer())

    return Starlette(routes=[Route("/v1/prepare", prepare, methods=["POST"])])


SOURCE = encode_frame(
    {"type": "source", "container": "wav", "codec": "pcm_s16le", "sample_rate_hz": 8000, "channels": 1}
)
SEGMENT = encode_frame({"type": "segment", "start_s": 0.0, "end_s": 0.2}, SPEECH.pcm)
END = encode_frame({"type": "end", "duration_s": 0.2})


async def test_prepared_events_arrive_typed_and_in_order(http: Http):
    async with served(preprocess_stub(SOURCE, SEGMENT, END)) as url:
        events = [e async for e in PreprocessClient(http, service(url)).prepare(b"media", idle_s=5)]

    assert [type(e) for e in events] == [SourceInfo, SpeechSegment, PrepareEnd]
    assert events[1] == SpeechSegment(0.0, 0.2, SPEECH)


async def test_progress_keeps_the_answer_alive_and_is_no_event(http: Http):
    progress = encode_frame({"type": "progress", "position_s": 60.0})
    async with served(preprocess_stub(SOURCE, progress, progress, END)) as url:
        events = [e async for e in PreprocessClient(http, service(url)).prepare(b"media", idle_s=5)]

    assert [type(e) for e in events] == [SourceInfo, PrepareEnd]


async def test_prepare_options_are_sent_as_the_query_without_defaults(http: Http):
    queries = []

    async def prepare(request: Request) -> Response:
        queries.append(request.url.query)
        return Response(SOURCE + END)

    async with served(Starlette(routes=[Route("/v1/prepare", prepare, methods=["POST"])])) as url:
        for options in (PrepareOptions(), PrepareOptions(speech_detection="off", vad_threshold=0.7)):
            client = PreprocessClient(http, service(url))
            _ = [e async for e in client.prepare(b"media", options=options, idle_s=5)]

    assert queries == ["", "speech_detection=off&vad_threshold=0.7"]


async def test_an_error_in_the_middle_of_the_events_is_raised(http: Http):
    refusal = ServiceError(ErrorCode.AUDIO_UNDECODABLE, "broken at 0.2 s", param="file")
    error = encode_frame({"type": "error", **refusal.envelope()})
    async with served(preprocess_stub(SOURCE, SEGMENT, error)) as url:
        with pytest.raises(ServiceError, match="broken at"):
            [e async for e in PreprocessClient(http, service(url)).prepare(b"media", idle_s=5)]


@pytest.mark.parametrize("frames", [(SOURCE, SEGMENT), (SOURCE, SEGMENT[:-10]), (b"not frames",)])
async def test_incomplete_events_are_an_error_and_never_a_short_result(http: Http, frames: tuple[bytes, ...]):
    async with served(preprocess_stub(*frames)) as url:
        with pytest.raises(ServiceError) as caught:
            [e async for e in PreprocessClient(http, service(url)).prepare(b"media", idle_s=5)]

    assert caught.value.code is ErrorCode.BACKEND_UNAVAILABLE


AUDIO = encode_frame({"type": "audio"}, SPEECH.pcm)
CHECK = encode_frame({"type": "speech", "speech": [[0.1, 0.3]]})


def clip_stub(*frames: bytes, pause: asyncio.Event | None = None) -> Starlette:
    """Answers /v1/clip with these bytes; `pause` lies before the last of them."""

    async def body() -> AsyncIterator[bytes]:
        for number, frame in enumerate(frames, 1):
            if pause and number == len(frames):
                await pause.wait()
            yield frame

    async def clip(request: Request) -> Response:
        await request.body()
        return StreamingResponse(body())

    return Starlette(routes=[Route("/v1/clip", clip, methods=["POST"])])


def clip_of(http: Http, url: str, **options: str) -> AbstractAsyncContextManager[DecodedClip]:
    return PreprocessClient(http, service(url)).clip(b"media", PrepareOptions(**options), deadline_s=5)


async def test_a_clips_audio_is_there_before_it_has_been_checked_for_speech(http: Http):
    pause = asyncio.Event()
    async with served(clip_stub(AUDIO, CHECK, pause=pause)) as url, clip_of(http, url) as clip:
        assert clip.audio == SPEECH
        pause.set()
        assert await clip.speech_check(deadline_s=5) == SpeechCheck(speech=(Interval(0.1, 0.3),))


async def test_without_speech_detection_a_clip_is_its_audio_alone(http: Http):
    async with served(clip_stub(AUDIO)) as url, clip_of(http, url, speech_detection="off") as clip:
        assert clip.audio == SPEECH


@pytest.mark.parametrize("answer", [b"", b"<html>", SPEECH.to_wav()[:20], AUDIO[:-2], CHECK])
async def test_a_clip_without_its_audio_is_an_error_that_names_the_service(http: Http, answer: bytes):
    async with served(clip_stub(answer)) as url:
        with pytest.raises(
            ServiceError, match=r"engine at .* (closed the connection before|sent a broken response)"
        ) as caught:
            await clip_of(http, url).__aenter__()

    assert caught.value.code is ErrorCode.BACKEND_UNAVAILABLE


async def test_a_clips_speech_check_that_does_not_come_in_time_is_a_timeout(http: Http):
    pause = asyncio.Event()
    async with served(clip_stub(AUDIO, CHECK, pause=pause)) as url:
        async with clip_of(http, url) as clip:
            with pytest.raises(ServiceError, match=r"did not answer within 0\.3 s") as caught:
                await clip.speech_check(deadline_s=0.3)
        pause.set()

    assert caught.value.code is ErrorCode.BACKEND_TIMEOUT


REFUSAL = ServiceError(ErrorCode.AUDIO_UNDECODABLE, "the check crashed", param="file")


@pytest.mark.parametrize("answer", [b"", b"<html>", CHECK[:-2], encode_frame({"type": "error", **REFUSAL.envelope()})])
async def test_a_clips_speech_check_that_fails_is_no_fault_of_the_media(http: Http, answer: bytes):
    async with served(clip_stub(AUDIO, answer)) as url, clip_of(http, url) as clip:
        with pytest.raises(ServiceError) as caught:
            await clip.speech_check(deadline_s=5)

    assert caught.value.code is ErrorCode.BACKEND_UNAVAILABLE


@pytest.mark.parametrize("detection", ["on", "off"])
async def test_the_connection_of_a_clip_is_reused(http: Http, detection: str):
    ports = []

    async def clip(request: Request) -> Response:
        await request.body()
        ports.append(request.client.port)
        return Response(AUDIO + CHECK if detection == "on" else AUDIO)

    async with served(Starlette(routes=[Route("/v1/clip", clip, methods=["POST"])])) as url:
        for _ in range(2):
            async with clip_of(http, url, speech_detection=detection) as decoded:
                if detection == "on":
                    await decoded.speech_check(deadline_s=5)

    assert ports[0] == ports[1]


async def test_a_clip_that_is_refused_raises_the_services_error(http: Http):
    refusal = ServiceError(ErrorCode.AUDIO_TOO_LARGE, "longer than 30 s", param="file")

    async def clip(request: Request) -> Response:
        await request.body()
        return error_response(refusal)

    async with served(Starlette(routes=[Route("/v1/clip", clip, methods=["POST"])])) as url:
        with pytest.raises(ServiceError, match="longer than 30 s") as caught:
            await clip_of(http, url).__aenter__()

    assert caught.value.code is ErrorCode.AUDIO_TOO_LARGE

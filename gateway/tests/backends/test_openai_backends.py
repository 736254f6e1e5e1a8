"""Any other server that speaks OpenAI's API as a backend: another gateway of ours, and a stub for its failures."""

import asyncio
import json
from collections.abc import Callable

import pytest
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.testing import FakeTranscriber
from rapl_service.testing import served
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

KEY = "the-key-of-the-other-server"


class Stub:
    """A fake server that fails as a test chooses; its answers are those of servers that people run."""

    def __init__(self) -> None:
        self.answer: Response | None = None
        self.new_answer: Callable[[], Response] | None = None
        """For an answer that can be sent only once."""
        self.listing: object = {"object": "list", "data": [{"id": "whisper-x", "object": "model"}]}
        self.forms: list[dict[str, str]] = []
        self.keys: list[str | None] = []
        self.app = Starlette(
            routes=[
                Route("/v1/models", self.models),
                Route("/v1/audio/{kind}", self.transcribe, methods=["POST"]),
            ]
        )

    async def models(self, request: Request) -> Response:
        self.keys.append(request.headers.get("authorization"))
        return JSONResponse(self.listing)

    async def transcribe(self, request: Request) -> Response:
        self.keys.append(request.headers.get("authorization"))
        async with request.form() as form:
            self.forms.append({name: value for name, value in form.items() if isinstance(value, str)})
        if self.new_answer:
            return self.new_answer()
        if self.answer:
            return self.answer
        if self.forms[-1]["response_format"] == "verbose_json":
            error = {"message": "response_format 'verbose_json' is not compatible", "param": "response_format"}
            return JSONResponse({"error": {**error, "type": "invalid_request_error", "code": "unsupported"}}, 400)
        return JSONResponse({"text": "from the stub"})


@pytest.fixture
async def stub():
    stub = Stub()
    async with served(stub.app) as url:
        stub.url = f"{url}/v1"
        yield stub


@pytest.fixture
def plugged(start, tmp_path, monkeypatch):
    """A gateway with one more backend, of another kind."""

    async def plug(url: str, model: str = "whisper-x", key_env: str = "OTHER_KEY", **settings):
        monkeypatch.setenv("OTHER_KEY", KEY)
        (tmp_path / "rapl.toml").write_text(
            f'[backends.other]\nkind = "openai"\nurl = "{url}"\nkey_env = "{key_env}"\n'
            f'[models."other/model"]\nbackend = "other"\nid = "{model}"\n'
        )
        return await start(**settings)

    return plug


async def ask(fleet, **fields: str):
    return await fleet.transcribe(model="other/model", **fields)


class TestAnotherRaplGateway:
    @pytest.fixture
    async def other(self, start):
        return await start(FakeTranscriber("iic/SenseVoiceSmall", text="from the other one", streams=True))

    async def test_its_text_and_language_are_passed_on(self, other, plugged):
        fleet = await plugged(f"{other.url}/v1", "iic/SenseVoiceSmall")
        answer = await ask(fleet)

        assert answer.json()["text"] == "from the other one"
        assert answer.json()["languages"] == [{"code": "en"}]

    async def test_its_stream_is_passed_on_word_by_word(self, other, plugged):
        fleet = await plugged(f"{other.url}/v1", "iic/SenseVoiceSmall")
        stream = await fleet.openai.audio.transcriptions.create(
            model="other/model", file=("a.wav", fleet.speech.to_wav()), stream=True
        )
        events = [event async for event in stream]

        assert "".join(e.delta for e in events if e.type == "transcript.text.delta") == "from the other one"
        assert events[-1].text == "from the other one"

    async def test_its_models_state_is_in_the_list(self, other, plugged):
        fleet = await plugged(f"{other.url}/v1", "iic/SenseVoiceSmall")
        listed = {model["id"]: model for model in (await fleet.http.get("/v1/models")).json()["data"]}

        assert (listed["other/model"]["state"], listed["other/model"]["owned_by"]) == ("ready", "other")

    async def test_its_refusal_is_passed_on_with_its_reason(self, start, plugged):
        refusing = FakeTranscriber(
            "iic/SenseVoiceSmall", fails_with=ServiceError(ErrorCode.INVALID_REQUEST, "too quiet")
        )
        other = await start(refusing)
        answer = await ask(await plugged(f"{other.url}/v1", "iic/SenseVoiceSmall"))

        assert answer.status_code == 400
        assert "too quiet" in answer.json()["error"]["message"]


class TestAnotherServer:
    async def test_json_is_requested_if_it_refuses_verbose_json_and_remembered(self, stub, plugged):
        fleet = await plugged(stub.url)

        assert [(await ask(fleet)).json()["text"] for _ in range(2)] == ["from the stub"] * 2
        assert [form["response_format"] for form in stub.forms] == ["verbose_json", "json", "json"]

    async def test_subtitles_are_made_without_word_times_if_it_refuses_verbose_json(self, stub, plugged):
        answer = await ask(await plugged(stub.url), response_format="srt")

        assert "from the stub" in answer.text
        assert [form["response_format"] for form in stub.forms] == ["verbose_json", "json"]
        assert ["timestamp_granularities[]" in form for form in stub.forms] == [True, False]

    async def test_every_option_that_its_api_has_a_field_for_is_sent(self, stub, plugged):
        fleet = await plugged(stub.url)
        await ask(fleet, language="en", prompt="A prompt.", temperature="0.5")

        assert stub.forms[-1] == {
            "model": "whisper-x",
            "response_format": "json",
            "language": "en",
            "prompt": "A prompt.",
            "temperature": "0.5",
        }

    async def test_the_key_from_the_environment_is_sent(self, stub, plugged):
        await ask(await plugged(stub.url))

        assert set(stub.keys) == {f"Bearer {KEY}"}

    @pytest.mark.parametrize("listing", [[1, 2], {"data": "none"}, {"data": [{"id": ["whisper-x"]}, 3]}, None])
    async def test_an_invalid_list_of_models_is_ignored(self, stub, plugged, listing):
        stub.listing = listing
        fleet = await plugged(stub.url)

        assert (await ask(fleet)).json()["text"] == "from the stub"

    async def test_loading_a_model_that_only_a_pattern_allows_is_not_an_error(self, stub, start, tmp_path):
        backend = f'[backends.other]\nkind = "openai"\nurl = "{stub.url}"\n'
        (tmp_path / "rapl.toml").write_text(f'{backend}[models."other/*"]\nbackend = "other"\n')
        fleet = await start()
        answer = await fleet.http.post("/v1/models/other/any/load")

        assert (answer.status_code, answer.json()["engine_model"]) == (200, "other/any")

    async def test_a_server_without_streaming_answers_a_stream_at_its_end(self, stub, plugged):
        answer = await ask(await plugged(stub.url), stream="true")

        assert json.loads(answer.text.splitlines()[0].removeprefix("data: "))["delta"] == "from the stub"

    @pytest.mark.parametrize(
        ("given", "status", "code"),
        [
            (JSONResponse({"error": {"message": "no such model"}}, 404), 404, "model_not_found"),
            (JSONResponse({"error": {"message": "bad audio"}}, 400), 400, "invalid_request"),
            (JSONResponse({"detail": "?"}, 422), 400, "invalid_request"),
            (JSONResponse({"error": {"message": "slow down"}}, 429, {"retry-after": "7"}), 429, "overloaded"),
            (JSONResponse({"error": {"message": "slow down"}}, 429, {"retry-after": "9" * 400}), 429, "overloaded"),
            (JSONResponse({"error": {"message": f"Incorrect key {KEY}"}}, 401), 503, "backend_unavailable"),
            (PlainTextResponse("oops", 500), 500, "internal_error"),
            (PlainTextResponse("bad gateway", 502), 503, "backend_unavailable"),
            (PlainTextResponse("<html>", 200), 503, "backend_unavailable"),
        ],
    )
    async def test_its_errors_are_translated_and_never_contain_the_key(self, stub, plugged, given, status, code):
        stub.answer = given
        answer = await ask(await plugged(stub.url, restart_wait_s=0.5))

        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert KEY not in answer.text

    @pytest.mark.parametrize(
        "nonsense",
        [
            "[" * 5_000,
            '{"text": "\\ud800"}',
            '{"text": "a", "segments": 1}',
            '{"text": "a", "segments": [{"start": 0, "end": NaN, "text": "a"}]}',
            f'{{"text": "a", "segments": [{{"start": 0, "end": 1{"0" * 400}, "text": "a"}}]}}',
        ],
    )
    @pytest.mark.parametrize("form", ["json", "verbose_json"])
    async def test_an_invalid_answer_is_a_503_that_names_it(self, stub, plugged, nonsense, form):
        stub.answer = PlainTextResponse(nonsense)
        answer = await ask(await plugged(stub.url, restart_wait_s=0.5), response_format=form)

        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "backend_unavailable")
        assert "not in OpenAI's format" in answer.json()["error"]["message"]

    @pytest.mark.parametrize("event", ["[" * 5_000, '{"delta": "' + "a" * (1 << 20)])
    async def test_an_invalid_event_ends_the_stream_with_an_error(self, stub, plugged, event):
        stub.answer = PlainTextResponse(f"data: {event}\n\n", media_type="text/event-stream")
        answer = await ask(await plugged(stub.url, restart_wait_s=0.5), stream="true")

        assert "not in OpenAI's format" in answer.text
        assert "transcript.text.done" not in answer.text

    @pytest.mark.parametrize("form", ["json", "verbose_json", "text"])
    async def test_an_answer_that_is_far_too_large_is_a_503_and_is_not_read_to_its_end(self, stub, plugged, form):
        sent = 0

        async def endless():
            nonlocal sent
            yield '{"text": "'
            while True:
                sent += 1 << 16
                yield "a" * (1 << 16)
                await asyncio.sleep(0)

        stub.new_answer = lambda: StreamingResponse(endless(), media_type="application/json")
        answer = await ask(await plugged(stub.url, restart_wait_s=0.5), response_format=form)

        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "backend_unavailable")
        assert "larger than 1 MiB" in answer.json()["error"]["message"]
        assert sent < 64 << 20

    @pytest.mark.parametrize("event", ['{"type": "transcript.text.delta", "delta": ""}', '{"type": "ping"}', ""])
    async def test_a_stream_that_is_far_too_large_ends_with_an_error(self, stub, plugged, event):
        async def endless():
            while True:
                yield f"data: {event}\n\n" * 1000 if event else ": a comment\n\n" * 1000
                await asyncio.sleep(0)

        stub.new_answer = lambda: StreamingResponse(endless(), media_type="text/event-stream")
        answer = await ask(await plugged(stub.url, restart_wait_s=0.5), stream="true")

        assert "larger than 1 MiB" in answer.text
        assert "text.done" not in answer.text

    async def test_an_error_that_is_far_too_large_is_an_error_without_its_text(self, stub, plugged):
        stub.answer = JSONResponse({"error": {"message": "a" * (4 << 20)}}, 400)
        answer = await ask(await plugged(stub.url))

        assert (answer.status_code, answer.json()["error"]["message"]) == (400, "other answered 400")

    async def test_a_stream_that_breaks_off_ends_with_an_error(self, stub, plugged):
        async def half():
            yield 'data: {"type": "transcript.text.delta", "delta": "half a"}\n\n'

        stub.answer = StreamingResponse(half(), media_type="text/event-stream")
        answer = await ask(await plugged(stub.url), stream="true")

        assert "half a" in answer.text
        assert "event: error" in answer.text
        assert "text.done" not in answer.text


async def test_a_missing_key_prevents_the_start(plugged, stub):
    with pytest.raises(ValueError, match="RAPL_TEST_NO_KEY"):
        await plugged(stub.url, key_env="RAPL_TEST_NO_KEY")


async def test_the_key_of_another_server_can_be_in_a_file(start, stub, tmp_path):
    (tmp_path / "key").write_text("a-key-in-a-file\n")
    (tmp_path / "rapl.toml").write_text(
        f'[backends.other]\nkind = "openai"\nurl = "{stub.url}"\nkey_file = "{tmp_path / "key"}"\n'
        '[models."other/model"]\nbackend = "other"\nid = "whisper-x"\n'
    )

    await ask(await start())

    assert set(stub.keys) == {"Bearer a-key-in-a-file"}


@pytest.mark.parametrize("is_in_file", [False, True], ids=["in the setting", "in a file"])
async def test_the_token_is_sent_to_mlx_service(start, tmp_path, is_in_file):
    (tmp_path / "token").write_text("a-token\n")
    token = {"mlx_token_file": tmp_path / "token"} if is_in_file else {"mlx_token": "a-token"}
    seen = []

    async def models(request: Request) -> Response:
        seen.append(request.headers.get("authorization"))
        return JSONResponse({"models": []})

    async with served(Starlette(routes=[Route("/v1/models", models)])) as url:
        fleet = await start(mlx_url=url, **token)
        await fleet.http.get("/v1/models")
        async with asyncio.timeout(10):
            while not seen:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    assert set(seen) == {"Bearer a-token"}

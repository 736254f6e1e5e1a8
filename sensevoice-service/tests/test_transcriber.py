"""The transcriber with fake runtimes and weights."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.intervals import Interval
from rapl_protocol.models import ModelState
from rapl_protocol.testing import make_tone
from rapl_protocol.transcript import Decoding, TranscribeOptions
from rapl_sensevoice.model.words import TimedToken
from rapl_sensevoice.runtimes.runtime import Decoded, DecodeRequest
from rapl_sensevoice.transcriber import SELFTEST, SenseVoiceTranscriber
from rapl_sensevoice.unusable import ModelUnusable
from rapl_sensevoice.weights.manifest import Manifest, ManifestFile, sha256_of
from rapl_sensevoice.weights.on_disk import REPO
from rapl_sensevoice.weights.removal import locked

AUDIO = make_tone(0.5)
Soon = Callable[[Callable[[], Any]], Any]


class FakeRuntime:
    def __init__(self) -> None:
        self.loaded_from: Path | None = None
        self.fails_with: Exception | None = None
        self.began_to_load = threading.Event()
        self.may_load = threading.Event()
        self.may_load.set()
        self.may_decode = threading.Event()
        self.may_decode.set()
        self.languages: list[str | None] = []
        self.batch_sizes: list[int] = []
        self.keywords: list[tuple[str, ...]] = []
        self.requests: list[DecodeRequest] = []

    def load(self, folder: Path) -> None:
        self.began_to_load.set()
        self.may_load.wait(60)
        if self.fails_with:
            raise self.fails_with
        self.loaded_from = folder

    def unload(self) -> None:
        self.loaded_from = None

    def features(self, audio: WavAudio) -> WavAudio:
        return audio

    def batch_key(self, audio: WavAudio) -> tuple[int, int]:
        return len(audio.pcm), 9

    def graph(self, keywords: tuple[str, ...]) -> None:
        self.keywords.append(keywords)

    def decode_batch(self, requests: Sequence[DecodeRequest]) -> list[Decoded]:
        assert self.loaded_from
        self.batch_sizes.append(len(requests))
        self.may_decode.wait(60)
        self.requests += requests
        self.languages += [each.language for each in requests]
        path = (TimedToken("▁ok", 0.1, 0.2, -0.25), TimedToken(".", 0.2, 0.3, -0.75))
        text = "<|en|><|HAPPY|><|BGM|><|withitn|>ok."
        return [Decoded(text, path if each.with_times else None, path) for each in requests]


def fill(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "configuration.json").write_text(
        json.dumps({"file_path_metas": {"init_param": "model.pt", "config": "config.yaml"}})
    )
    for name in ("model.pt", "config.yaml"):
        (folder / name).write_text(name)


def prepare(folder: Path) -> None:
    """Makes what `prepare-model` makes, without the network."""
    fill(folder)
    paths = [folder / name for name in ("configuration.json", "model.pt", "config.yaml")]
    files = [ManifestFile(name=p.name, size=p.stat().st_size, sha256=sha256_of(p)) for p in paths]
    Manifest(hub="modelscope", repo=REPO, revision="r", asked_revision="master", files=tuple(files)).write(folder)


class Harness:
    """A transcriber, which the test starts, and the runtimes of its two models."""

    def __init__(self, folder: Path) -> None:
        self.model_dir = folder / "models"
        self.real, self.selftest = FakeRuntime(), FakeRuntime()
        runtimes = iter((self.real, self.selftest))
        fill(folder / "selftest")
        self.transcriber = SenseVoiceTranscriber(self.model_dir, lambda: next(runtimes), 4, folder / "selftest")

    def state(self, model_id: str) -> ModelState:
        return next(info.state for info in self.transcriber.models() if info.id == model_id)

    def is_ready(self, model_id: str = SELFTEST) -> bool:
        return self.state(model_id) is ModelState.READY

    async def transcribe(self, model: str = SELFTEST, **options: Any):
        return await self.transcriber.transcribe(AUDIO, TranscribeOptions(model=model, **options))


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[Harness]:
    harness = Harness(tmp_path)
    yield harness
    for runtime in (harness.real, harness.selftest):
        runtime.may_load.set()
        runtime.may_decode.set()
    await harness.transcriber.close()


async def begun(*calls: Any) -> list[asyncio.Task[Any]]:
    """Tasks of the calls, which are in the model's queue: each adds itself as soon as it runs."""
    tasks = [asyncio.create_task(call) for call in calls]
    await asyncio.sleep(0)
    return tasks


async def test_the_real_model_is_listed_before_the_self_test_model(harness: Harness):
    assert [info.id for info in harness.transcriber.models()] == [REPO, SELFTEST]


async def test_text_tags_and_word_times_become_fields(harness: Harness, soon: Soon):
    await harness.transcriber.start()
    await soon(harness.is_ready)
    transcript = await harness.transcribe(word_timestamps=True)

    [segment] = transcript.segments
    assert (transcript.text, transcript.language, transcript.duration_s) == ("ok.", "en", 0.5)
    assert (segment.emotion, segment.events) == ("happy", ("bgm",))
    assert [(w.word, w.start_s, w.end_s) for w in segment.words or ()] == [("ok", 0.1, 0.2)]


async def test_confidence_and_the_place_of_the_text_need_no_request_for_times(harness: Harness, soon: Soon):
    await harness.transcriber.start()
    await soon(harness.is_ready)
    transcript = await harness.transcribe()

    [segment] = transcript.segments
    assert segment.decoding == Decoding(avg_logprob=-0.5)
    assert transcript.text_spans == (Interval(0.0, 0.5),)
    assert segment.words is None


async def test_without_weights_the_real_model_is_absent_and_the_self_test_model_answers(harness: Harness, soon: Soon):
    await harness.transcriber.start()
    await soon(harness.is_ready)
    with pytest.raises(ServiceError) as caught:
        await harness.transcribe(REPO)

    assert caught.value.code is ErrorCode.MODEL_NOT_READY
    assert "prepare-model" in caught.value.message
    assert (await harness.transcribe(SELFTEST)).text == "ok."


async def test_weights_that_come_later_are_loaded_without_a_restart(harness: Harness, soon: Soon):
    await harness.transcriber.start()
    assert harness.state(REPO) is ModelState.ABSENT
    prepare(harness.model_dir / REPO)
    await soon(lambda: harness.is_ready(REPO))

    assert harness.real.loaded_from == harness.model_dir / REPO


async def test_corrupted_weights_are_not_loaded_until_they_are_replaced(harness: Harness, soon: Soon):
    folder = harness.model_dir / REPO
    prepare(folder)
    (folder / "model.pt").write_text("MODEL.PT")
    await harness.transcriber.start()
    await soon(lambda: harness.state(REPO) is ModelState.FAILED)

    assert harness.real.loaded_from is None
    assert "model.pt" in (harness.transcriber.models()[0].reason or "")
    prepare(folder)
    await soon(lambda: harness.is_ready(REPO))


@pytest.mark.parametrize(
    ("failure", "reason"),
    [(ModelUnusable("no device", "Set another."), "no device"), (RuntimeError("secret"), "loading it failed")],
)
async def test_a_failure_to_load_has_a_reason_and_a_remedy(
    harness: Harness, soon: Soon, failure: Exception, reason: str
):
    harness.selftest.fails_with = failure
    await harness.transcriber.start()
    await soon(lambda: harness.state(SELFTEST) is ModelState.FAILED)

    info = harness.transcriber.models()[1]
    assert info.reason == reason
    assert info.remedy


async def test_starting_does_not_wait_for_a_model_and_the_event_loop_goes_on_while_it_loads(harness: Harness):
    harness.selftest.may_load.clear()
    began = time.perf_counter()
    await harness.transcriber.start()
    for _ in range(10):
        await asyncio.sleep(0.001)

    assert time.perf_counter() - began < 5
    assert harness.state(SELFTEST) is ModelState.LOADING
    with pytest.raises(ServiceError, match="loading"):
        await harness.transcribe()


async def test_an_unloaded_model_stays_unloaded_until_a_load_is_requested(harness: Harness, soon: Soon):
    await harness.transcriber.start()
    await soon(harness.is_ready)
    assert (await harness.transcriber.unload(SELFTEST)).state is ModelState.ABSENT
    assert harness.selftest.loaded_from is None
    prepare(harness.model_dir / REPO)
    await soon(lambda: harness.is_ready(REPO))  # so the weights of both models were looked at again
    assert harness.state(SELFTEST) is ModelState.ABSENT

    assert (await harness.transcriber.load(SELFTEST)).state is ModelState.LOADING
    await soon(harness.is_ready)
    assert (await harness.transcribe()).text == "ok."


async def test_a_model_that_is_unloaded_while_it_loads_ends_unloaded(harness: Harness):
    harness.selftest.may_load.clear()
    await harness.transcriber.start()
    assert await asyncio.to_thread(harness.selftest.began_to_load.wait, 60)
    [unloading] = await begun(harness.transcriber.unload(SELFTEST))
    harness.selftest.may_load.set()
    await unloading

    assert harness.state(SELFTEST) is ModelState.ABSENT
    assert harness.selftest.loaded_from is None


async def test_unloading_an_absent_model_changes_nothing(harness: Harness):
    await harness.transcriber.start()
    before = harness.transcriber.models()[0]

    assert await harness.transcriber.unload(REPO) == before
    prepare(harness.model_dir / REPO)
    assert (await harness.transcriber.load(REPO)).state is ModelState.LOADING


async def test_a_removed_model_is_unloaded_and_loaded_again_when_its_weights_are_back(harness: Harness, soon: Soon):
    prepare(harness.model_dir / REPO)
    await harness.transcriber.start()
    await soon(lambda: harness.is_ready(REPO))
    disk_bytes = harness.transcriber.models()[0].disk_bytes or 0

    removed = await harness.transcriber.remove(REPO)

    assert disk_bytes > 0
    assert (removed.state, removed.disk_bytes) == (ModelState.ABSENT, 0)
    assert harness.real.loaded_from is None
    assert not (harness.model_dir / REPO).exists()
    prepare(harness.model_dir / REPO)
    await soon(lambda: harness.is_ready(REPO))


async def test_the_self_test_model_cannot_be_removed(harness: Harness, soon: Soon):
    await harness.transcriber.start()
    await soon(harness.is_ready)

    with pytest.raises(ServiceError, match="ships with sensevoice-service") as caught:
        await harness.transcriber.remove(SELFTEST)

    assert caught.value.code is ErrorCode.UNSUPPORTED_PARAMETER
    assert harness.is_ready()


async def test_weights_that_prepare_model_is_writing_are_not_removed(harness: Harness, soon: Soon):
    prepare(harness.model_dir / REPO)
    await harness.transcriber.start()
    await soon(lambda: harness.is_ready(REPO))

    with locked(harness.model_dir / REPO, wait=False), pytest.raises(ServiceError, match="prepare-model") as caught:
        await harness.transcriber.remove(REPO)

    assert caught.value.code is ErrorCode.MODEL_IN_USE
    assert harness.is_ready(REPO)


async def test_accepted_requests_are_answered_before_the_model_is_unloaded(harness: Harness, soon: Soon):
    await harness.transcriber.start()
    await soon(harness.is_ready)
    harness.selftest.may_decode.clear()
    [request] = await begun(harness.transcribe())
    await soon(lambda: harness.selftest.batch_sizes)
    [unloading] = await begun(harness.transcriber.unload(SELFTEST))
    harness.selftest.may_decode.set()

    assert (await request).text == "ok."
    assert (await unloading).state is ModelState.ABSENT


async def test_waiting_requests_of_equal_length_are_one_batch(harness: Harness, soon: Soon):
    await harness.transcriber.start()
    await soon(harness.is_ready)
    harness.selftest.may_decode.clear()
    first = await begun(harness.transcribe(language="en"))
    await soon(lambda: harness.selftest.batch_sizes)
    waiting = await begun(*(harness.transcribe(language=language) for language in ("ko", "ja", "zh")))
    harness.selftest.may_decode.set()
    await asyncio.gather(*first, *waiting)

    assert harness.selftest.batch_sizes == [1, 3]


async def test_a_request_that_is_cancelled_in_the_queue_is_never_run(harness: Harness, soon: Soon):
    await harness.transcriber.start()
    await soon(harness.is_ready)
    harness.selftest.may_decode.clear()
    [first] = await begun(harness.transcribe(language="en"))
    await soon(lambda: harness.selftest.batch_sizes)
    [second] = await begun(harness.transcribe(language="ko"))
    second.cancel()
    await asyncio.wait([second])
    harness.selftest.may_decode.set()
    await first
    await harness.transcribe(language="ja")

    assert harness.selftest.languages == ["en", "ja"]


async def test_requests_beyond_the_limit_are_refused(harness: Harness, soon: Soon):
    await harness.transcriber.start()
    await soon(harness.is_ready)
    harness.selftest.may_decode.clear()
    requests = [asyncio.create_task(harness.transcribe()) for _ in range(5)]
    done, held = await asyncio.wait(requests, return_when=asyncio.FIRST_COMPLETED)
    harness.selftest.may_decode.set()

    [refused] = done
    error = refused.exception()
    assert isinstance(error, ServiceError)
    assert error.code is ErrorCode.OVERLOADED
    assert [(await request).text for request in held] == ["ok."] * 4


@pytest.mark.parametrize(("requested", "forced"), [(None, None), ("en", "en"), ("yue", "yue")])
async def test_the_language_is_forced_or_left_to_the_model(harness: Harness, soon: Soon, requested: str, forced: str):
    await harness.transcriber.start()
    await soon(harness.is_ready)
    await harness.transcribe(language=requested)

    assert harness.selftest.languages == [forced]


async def test_keywords_itn_and_a_list_of_languages_reach_the_runtime(harness: Harness, soon: Soon):
    await harness.transcriber.start()
    await soon(harness.is_ready)
    await harness.transcribe(keywords=("Ada", "Babbage"), itn=False, languages=("de", "zh", "en"))

    [request] = harness.selftest.requests
    assert harness.selftest.keywords == [("Ada", "Babbage")]
    assert (request.itn, request.language, request.languages) == (False, None, ("zh", "en"))


async def test_a_list_with_one_language_of_the_model_sets_it(harness: Harness, soon: Soon):
    await harness.transcriber.start()
    await soon(harness.is_ready)
    await harness.transcribe(languages=("de", "zh"))

    [request] = harness.selftest.requests
    assert (request.language, request.languages) == ("zh", ())


async def test_a_request_without_keywords_makes_no_graph(harness: Harness, soon: Soon):
    await harness.transcriber.start()
    await soon(harness.is_ready)
    await harness.transcribe()

    assert harness.selftest.keywords == []
    assert harness.selftest.requests[0].itn


async def test_an_unsupported_language_is_refused_with_the_supported_ones(harness: Harness):
    with pytest.raises(ServiceError) as caught:
        await harness.transcribe(language="fr")

    assert (caught.value.code, caught.value.param) == (ErrorCode.UNSUPPORTED_PARAMETER, "language")
    assert "zh, en, yue, ja, ko" in caught.value.message


async def test_the_capabilities_are_declared(harness: Harness):
    for info in harness.transcriber.models():
        assert info.capabilities.languages == ("zh", "en", "yue", "ja", "ko")
        assert not info.capabilities.prompt
        assert info.capabilities.word_timestamps
        assert info.capabilities.emotion_and_events
        assert info.capabilities.decoding == ("avg_logprob",)


@pytest.mark.parametrize("action", ["load", "unload"])
async def test_an_unknown_model_is_an_error_that_names_the_available_ones(harness: Harness, action: str):
    with pytest.raises(ServiceError, match="rapl/selftest") as caught:
        await getattr(harness.transcriber, action)("unknown/model")

    assert caught.value.code is ErrorCode.MODEL_NOT_FOUND

"""speaker-service without HTTP: the state of its networks, and the requests that they compute."""

import asyncio
import logging
from collections.abc import AsyncIterable, Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import ModelInfo, ModelState
from rapl_protocol.speakers import (
    SPEAKERS_MODEL,
    Diarization,
    DiarizationEvent,
    DiarizationOptions,
    RecordedSpeech,
    SpeakerReference,
    VoiceEmbedding,
)
from rapl_service.inference_worker import InferenceWorker
from rapl_service.memory import give_memory_back

from rapl_speakers.engine.diarizer import Diarizer
from rapl_speakers.engine.networks import Networks, load_networks
from rapl_speakers.engine.people import Rules
from rapl_speakers.weights import SpeakerWeights, WeightsUnusable

LOOK_EVERY_S = 1.0

T = TypeVar("T")

log = logging.getLogger("rapl.speakers")


class SpeakerService:
    """A `ModelHost` with one model. Its state changes on the event loop only; its networks compute on one thread.

    Args:
        weights: the files of the networks.
        rules: thresholds.
        threads: threads per computation.
        max_requests: most requests at once.
    """

    def __init__(self, weights: SpeakerWeights, rules: Rules, threads: int, max_requests: int) -> None:
        self._weights = weights
        self._rules = rules
        self._threads = threads
        self._max_requests = max_requests
        self._requests = 0
        # One job of each request, and one that still runs for a client who has left.
        self._worker = InferenceWorker("speakers", max_requests + 1)
        self._networks: Networks | None = None
        self._is_wanted = True
        self._loaded_stamp: tuple[int, ...] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()
        self._info = ModelInfo(id=SPEAKERS_MODEL, state=ModelState.LOADING, reason="the server has just started")

    async def start(self) -> None:
        self._worker.start()
        self._watch = asyncio.create_task(self._watch_weights(), name="watch weights")

    async def close(self) -> None:
        if self._watch:
            self._watch.cancel()
        await asyncio.to_thread(self._worker.close)

    def models(self) -> Sequence[ModelInfo]:
        return [self._info]

    async def load(self, model_id: str) -> ModelInfo:
        _require_known(model_id)
        self._is_wanted, self._loaded_stamp = True, None  # an explicit load also retries weights that failed
        await self._refresh()
        return self._info

    async def unload(self, model_id: str) -> ModelInfo:
        """Requests in work keep the networks until they end."""
        _require_known(model_id)
        async with self._changing:
            if self._networks is not None:
                self._is_wanted, self._networks, self._loaded_stamp = False, None, None
                await self._worker.run_maintenance(give_memory_back)
                remedy = f"POST /v1/models/{SPEAKERS_MODEL}/load loads it again."
                self._info = self._in_state(ModelState.ABSENT, "unloaded; its weights stay on disk", remedy)
        return self._info

    async def remove(self, model_id: str) -> ModelInfo:
        _require_known(model_id)
        await asyncio.to_thread(self._weights.require_removable)
        await self.unload(model_id)
        await asyncio.to_thread(self._weights.remove)
        self._is_wanted = True
        await self._refresh()
        return self._info

    async def diarize(self, events: AsyncIterable[DiarizationEvent]) -> tuple[Diarization, float]:
        """Computes the parts of a recording as they arrive, and finds the turns at its end.

        Returns:
            The turns, and the seconds of speech that were sent.

        Raises:
            ServiceError: INVALID_REQUEST, MODEL_NOT_READY or OVERLOADED.
        """
        diarizer: Diarizer | None = None
        speech_s = 0.0
        with self._place():
            async for event in events:
                match event:
                    case DiarizationOptions():
                        diarizer = Diarizer(self._ready(), event, self._rules)
                    case SpeakerReference() if diarizer:
                        await self._computed(_job(diarizer.add_reference, event.audio))
                    case RecordedSpeech() if diarizer:
                        speech_s += event.audio.duration_s
                        await self._computed(_job(diarizer.add_speech, event))
            assert diarizer  # the options are the first event
            return await self._computed(diarizer.finish), speech_s

    async def embed(self, audio: WavAudio) -> VoiceEmbedding:
        """The voice of the person who speaks most. It goes before the parts of recordings, because somebody waits.

        Raises:
            ServiceError: MODEL_NOT_READY or OVERLOADED.
        """
        with self._place():
            networks = self._ready()
            voice, speech_s = await self._worker.run(lambda: networks.main_voice(audio, self._rules))
        embedding = None if voice is None else tuple(map(float, voice))
        return VoiceEmbedding(embedding=embedding, speech_s=speech_s, same_voice_cosine=self._rules.known_person)

    async def _computed(self, job: Callable[[], T]) -> T:
        return await self._worker.run(job, is_long=True)

    @contextmanager
    def _place(self) -> Generator[None]:
        if self._requests >= self._max_requests:
            message = f"speaker-service already works on {self._requests} requests"
            raise ServiceError(ErrorCode.OVERLOADED, message, retry_after_s=5)
        self._requests += 1
        try:
            yield
        finally:
            self._requests -= 1

    def _ready(self) -> Networks:
        if self._networks is None:
            raise self._info.not_ready_error()
        return self._networks

    async def _watch_weights(self) -> None:
        """Looks at the weights every LOOK_EVERY_S, so that the server loads new ones without a restart."""
        while True:
            try:
                await self._refresh()
            except OSError:
                log.exception("cannot read the weights")
            await asyncio.sleep(LOOK_EVERY_S)

    async def _refresh(self) -> None:
        async with self._changing:
            if not self._is_wanted or self._networks is not None:
                return
            status = await asyncio.to_thread(self._weights.look)
            if status.state is not None:
                self._info = self._in_state(status.state, status.reason, status.remedy).model_copy(
                    update={"progress": status.progress}
                )
            elif status.stamp != self._loaded_stamp:
                self._loaded_stamp = status.stamp
                self._info = self._in_state(ModelState.LOADING)
                await self._load()

    async def _load(self) -> None:
        began = asyncio.get_running_loop().time()
        try:
            self._networks = await self._worker.run_maintenance(lambda: load_networks(self._weights, self._threads))
        except WeightsUnusable as error:
            log.error("model=%s: %s", SPEAKERS_MODEL, error.reason)
            self._info = self._in_state(ModelState.FAILED, error.reason, error.remedy)
            return
        except Exception as error:
            log.exception("model=%s could not be loaded: %s", SPEAKERS_MODEL, error)
            self._info = self._in_state(ModelState.FAILED, "loading it failed", "The server's log has the cause.")
            return
        took_s = asyncio.get_running_loop().time() - began
        self._info = self._in_state(ModelState.READY).model_copy(update={"load_s": took_s})
        log.info("model=%s state=ready took_s=%.1f", SPEAKERS_MODEL, took_s)

    def _in_state(self, state: ModelState, reason: str | None = None, remedy: str | None = None) -> ModelInfo:
        return ModelInfo(
            id=SPEAKERS_MODEL, state=state, reason=reason, remedy=remedy, disk_bytes=self._weights.disk_bytes(),
            parallel=self._max_requests,
        )  # fmt: skip


def _require_known(model_id: str) -> None:
    if model_id != SPEAKERS_MODEL:
        message = f"no model {model_id!r} here; available: {SPEAKERS_MODEL}"
        raise ServiceError(ErrorCode.MODEL_NOT_FOUND, message, param="model")


def _job(function: Callable[[T], None], argument: T) -> Callable[[], None]:
    return lambda: function(argument)

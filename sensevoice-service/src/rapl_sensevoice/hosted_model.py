"""One model: its weights, its inference thread and its state.

    absent -> downloading -> loading -> ready        (any of them -> failed)

Everything except the worker's jobs runs on the event loop, so the state is never changed by two threads.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from rapl_hub.files import folder_bytes
from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import Capabilities, ModelInfo, ModelState
from rapl_protocol.transcript import TranscribeOptions, Transcript
from rapl_service.inference_worker import BatchKind, InferenceWorker

from rapl_sensevoice.model.rich_tags import LANGUAGES
from rapl_sensevoice.model.transcripts import transcript_from
from rapl_sensevoice.runtimes.runtime import Decoded, DecodeRequest, Runtime
from rapl_sensevoice.unusable import ModelUnusable
from rapl_sensevoice.weights.on_disk import Weights
from rapl_sensevoice.weights.removal import remove_weights, require_removable

CAPABILITIES = Capabilities(
    languages=LANGUAGES, language_detection=True, prompt=False, keywords=True, itn=True, language_choice=True,
    word_timestamps=True, emotion_and_events=True, decoding=("avg_logprob",),
)  # fmt: skip

log = logging.getLogger("rapl.sensevoice")


class HostedModel:
    """A model that the service loads when its weights are complete, and then transcribes with.

    Args:
        model_id: the model's id in requests.
        weights: the model's files.
        runtime: loads and computes the model; not shared with another model.
        max_jobs: most requests at once, waiting or running.
    """

    def __init__(self, model_id: str, weights: Weights, runtime: Runtime, max_jobs: int) -> None:
        self.model_id = model_id
        self._weights = weights
        self._runtime = runtime
        self._worker = InferenceWorker(f"inference {model_id}", max_jobs)
        self._is_wanted = True
        self._load_task: asyncio.Task[None] | None = None
        self._loaded_stamp: tuple[int, ...] | None = None
        self._disk_bytes: int | None = None
        self.info = self._in_state(ModelState.LOADING, reason="the server has just started")

    def start(self) -> None:
        self._worker.start()

    async def close(self) -> None:
        if self._load_task:
            self._load_task.cancel()
        await asyncio.to_thread(self._worker.close)

    async def refresh(self) -> None:
        """Checks the files, and starts to load them when they are complete.

        Files that could not be loaded are loaded again only after they have changed.
        """
        if not self._is_wanted or self._is_loading() or self.info.state is ModelState.READY:
            return
        status = await asyncio.to_thread(self._weights.look)
        self._disk_bytes = await asyncio.to_thread(folder_bytes, self._weights.folder)
        if not self._is_wanted or self._is_loading():
            return
        if status.state is None:
            if status.stamp != self._loaded_stamp:
                self._begin_load(status.stamp)
        else:
            self.info = self._in_state(status.state, status.reason, status.remedy).model_copy(
                update={"progress": status.progress}
            )

    async def load(self) -> ModelInfo:
        self._is_wanted = True
        self._loaded_stamp = None  # an explicit load also retries weights that failed
        await self.refresh()
        return self.info

    async def unload(self) -> ModelInfo:
        """Completes the requests that were already accepted, and then frees the memory."""
        if self.info.state not in (ModelState.READY, ModelState.LOADING):
            return self.info  # it holds no memory
        self._is_wanted = False
        self._load_task = None
        self._loaded_stamp = None
        remedy = f"POST /v1/models/{self.model_id}/load loads it again."
        self.info = self._in_state(ModelState.ABSENT, "unloaded; its weights stay on disk", remedy)
        await self._worker.run_maintenance(self._runtime.unload)
        return self.info

    async def remove(self) -> ModelInfo:
        """Unloads the model and removes its weights. When they are there again, they are loaded again.

        Raises:
            ServiceError: UNSUPPORTED_PARAMETER or MODEL_IN_USE; then nothing has changed.
        """
        if self._weights.is_packaged:
            message = f"The model {self.model_id!r} ships with sensevoice-service and cannot be removed."
            raise ServiceError(ErrorCode.UNSUPPORTED_PARAMETER, message, param="model")
        await asyncio.to_thread(require_removable, self._weights.folder)
        await self.unload()
        self._is_wanted = False  # so that `refresh` does not load the files while they are being removed
        try:
            await asyncio.to_thread(remove_weights, self._weights.folder)
        finally:
            self._is_wanted = True
        await self.refresh()
        return self.info

    async def transcribe(self, audio: WavAudio, options: TranscribeOptions) -> Transcript:
        CAPABILITIES.require(options)  # FunASR would ignore an unsupported language and detect it
        if self.info.state is not ModelState.READY:
            raise self.info.not_ready_error()
        prepared = self._worker.prepare(lambda: self._request(audio, options))
        key, most = self._runtime.batch_key(audio)
        kind = BatchKind(self._decode_batch, (key, bool(options.keywords), len(options.languages) > 1), most)
        try:
            decoded = await self._worker.run_batched(prepared, kind, is_long=options.is_long)
        finally:
            prepared.cancel()
        return transcript_from(decoded, audio, options)

    def _request(self, audio: WavAudio, options: TranscribeOptions) -> DecodeRequest:
        languages = tuple(language for language in options.languages if language in LANGUAGES)
        language = options.language or (languages[0] if len(languages) == 1 else None)
        return DecodeRequest(
            self._runtime.features(audio),
            language,
            with_times=options.word_timestamps or options.segment_timestamps,
            languages=() if language else languages,
            itn=options.itn is not False,
            graph=self._runtime.graph(options.keywords) if options.keywords else None,
        )

    def _decode_batch(self, requests: Sequence[Future[DecodeRequest]]) -> Sequence[Decoded]:
        return self._runtime.decode_batch([request.result() for request in requests])

    def _is_loading(self) -> bool:
        return self._load_task is not None and not self._load_task.done()

    def _begin_load(self, stamp: tuple[int, ...]) -> None:
        self._loaded_stamp = stamp
        self.info = self._in_state(ModelState.LOADING)
        self._load_task = asyncio.create_task(self._load(), name=f"load {self.model_id}")

    async def _load(self) -> None:
        began = asyncio.get_running_loop().time()
        info = await self._outcome(self._load_on_worker)
        if self._load_task is asyncio.current_task():  # otherwise it was unloaded in the meantime
            took_s = asyncio.get_running_loop().time() - began
            self.info = info.model_copy(update={"load_s": took_s})
            log.info("model=%s state=%s took_s=%.1f", self.model_id, info.state, took_s)

    async def _outcome(self, job: Callable[[], None]) -> ModelInfo:
        try:
            await self._worker.run_maintenance(job)
        except ModelUnusable as error:
            log.error("model=%s: %s", self.model_id, error.reason)
            return self._in_state(ModelState.FAILED, error.reason, error.remedy)
        except Exception as error:
            log.exception("model=%s could not be loaded: %s", self.model_id, error)
            return self._in_state(ModelState.FAILED, "loading it failed", "The server's log has the cause.")
        return self._in_state(ModelState.READY)

    def _load_on_worker(self) -> None:
        self._weights.verify()
        self._runtime.load(self._weights.folder)

    def _in_state(self, state: ModelState, reason: str | None = None, remedy: str | None = None) -> ModelInfo:
        return ModelInfo(
            id=self.model_id, state=state, reason=reason, remedy=remedy, disk_bytes=self._disk_bytes,
            capabilities=CAPABILITIES,
        )  # fmt: skip

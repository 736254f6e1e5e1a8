"""SenseVoice as a `Transcriber`: the real model, and a small self-test model that ships with the package."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import ModelInfo
from rapl_protocol.transcriber import OnText
from rapl_protocol.transcript import TranscribeOptions, Transcript

from rapl_sensevoice.hosted_model import HostedModel
from rapl_sensevoice.model.graph import Precision
from rapl_sensevoice.runtimes.runtime import Runtime
from rapl_sensevoice.weights.graph_weights import GraphWeights, PackagedGraph
from rapl_sensevoice.weights.on_disk import REPO, DownloadedWeights, PackagedWeights, Weights

SELFTEST = "rapl/selftest"
SELFTEST_FOLDER = Path(__file__).parent / "selftest_model"
LOOK_EVERY_S = 1.0

log = logging.getLogger("rapl.sensevoice")


class SenseVoiceTranscriber:
    """`Transcriber` with two models: SenseVoiceSmall and the self-test model.

    Args:
        model_dir: directory into which `prepare-model` downloads weights.
        make_runtime: makes the runtime of one model; called once per model.
        max_jobs: most requests of one model at once, waiting or running.
        selftest_folder: the weights of the self-test model.
        precision: of the graphs that the runtimes load; None if they load FunASR's checkpoints.
    """

    def __init__(
        self,
        model_dir: Path,
        make_runtime: Callable[[], Runtime],
        max_jobs: int,
        selftest_folder: Path = SELFTEST_FOLDER,
        precision: Precision | None = None,
    ) -> None:
        weights: dict[str, Weights]
        if precision:
            weights = {REPO: GraphWeights(model_dir / REPO, precision), SELFTEST: PackagedGraph(selftest_folder)}
        else:
            weights = {REPO: DownloadedWeights(model_dir / REPO), SELFTEST: PackagedWeights(selftest_folder)}
        self._models = {
            model_id: HostedModel(model_id, of_model, make_runtime(), max_jobs)
            for model_id, of_model in weights.items()
        }
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        for model in self._models.values():
            model.start()
        await self._look()
        self._watch = asyncio.create_task(self._watch_weights(), name="watch weights")

    async def close(self) -> None:
        if self._watch:
            self._watch.cancel()
        await asyncio.gather(*(model.close() for model in self._models.values()))

    def models(self) -> Sequence[ModelInfo]:
        return [model.info for model in self._models.values()]

    async def load(self, model_id: str) -> ModelInfo:
        return await self._model(model_id).load()

    async def unload(self, model_id: str) -> ModelInfo:
        return await self._model(model_id).unload()

    async def remove(self, model_id: str) -> ModelInfo:
        return await self._model(model_id).remove()

    async def transcribe(
        self, audio: WavAudio, options: TranscribeOptions, on_text: OnText | None = None
    ) -> Transcript:
        """As `Transcriber.transcribe`. `on_text` is never called: SenseVoice decodes all of the audio in one step."""
        return await self._model(options.model).transcribe(audio, options)

    def _model(self, model_id: str) -> HostedModel:
        if model := self._models.get(model_id):
            return model
        message = f"no model {model_id!r} here; available: {', '.join(self._models)}"
        raise ServiceError(ErrorCode.MODEL_NOT_FOUND, message, param="model")

    async def _watch_weights(self) -> None:
        """Checks the weights every LOOK_EVERY_S, so that the server loads new ones without a restart."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self._look()

    async def _look(self) -> None:
        for model in self._models.values():
            try:
                await model.refresh()
            except OSError:
                log.exception("cannot read the weights of %s", model.model_id)

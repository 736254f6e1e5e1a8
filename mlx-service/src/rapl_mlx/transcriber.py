"""The engine: the allowed models, each in its own process."""

import asyncio
import contextlib
from collections.abc import Sequence

from rapl_protocol.audio import WavAudio
from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_protocol.models import ModelInfo
from rapl_protocol.transcriber import OnText
from rapl_protocol.transcript import TranscribeOptions, Transcript

from rapl_mlx.models.catalog import ModelSource
from rapl_mlx.models.eviction import ModelEviction
from rapl_mlx.models.served_model import ServedModel
from rapl_mlx.settings import Settings

_UNLOAD_DRAIN_S = 30.0
_MAX_STARTING = 4
"""While this many models are downloading or loading, no further model is added through a pattern."""


class MlxTranscriber:
    """A `rapl_protocol.transcriber.Transcriber`. This process never imports mlx."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._models: dict[str, ServedModel] = {}
        self._eviction = ModelEviction(self._models, settings)
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    async def start(self) -> None:
        for source in self._settings.models.sources:
            self._add(source)
        self._tasks = (
            asyncio.create_task(self._preload(), name="preload"),
            asyncio.create_task(self._eviction.run(), name="model eviction"),
        )

    async def _preload(self) -> None:
        """Loads the models one after the other, so that the first one in the list is ready first."""
        for model_id in self._settings.preload_ids:
            await self._models[model_id].load()
            await self._models[model_id].settled.wait()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await asyncio.gather(*(model.unload(drain_s=0) for model in self._models.values()))

    def models(self) -> Sequence[ModelInfo]:
        return [model.reported for model in self._models.values()]

    async def load(self, model_id: str) -> ModelInfo:
        model = self._model(model_id)
        await model.load()
        return model.info

    async def unload(self, model_id: str) -> ModelInfo:
        model = self._model(model_id)
        await model.unload(_UNLOAD_DRAIN_S)
        return model.info

    async def transcribe(
        self, audio: WavAudio, options: TranscribeOptions, on_text: OnText | None = None
    ) -> Transcript:
        return await self._model(options.model).transcribe(audio, options, on_text)

    def _model(self, model_id: str) -> ServedModel:
        """Returns the model. If only a pattern allows it, its first request adds it to the list."""
        if model := self._models.get(model_id):
            return model
        source = self._settings.models.resolve(model_id)
        if sum(not model.settled.is_set() for model in self._models.values()) >= _MAX_STARTING:
            message = f"{_MAX_STARTING} models are already downloading or loading; try again later"
            raise ServiceError(ErrorCode.OVERLOADED, message, param="model", retry_after_s=30)
        return self._add(source)

    def _add(self, source: ModelSource) -> ServedModel:
        model = self._models[source.id] = ServedModel(source, self._settings, self._eviction.make_room)
        return model

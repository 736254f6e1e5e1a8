"""The interfaces of engines. They are independent of HTTP, response formats and OpenAI's API."""

from collections.abc import Callable, Sequence
from typing import Protocol

from rapl_protocol.audio import WavAudio
from rapl_protocol.models import ModelInfo
from rapl_protocol.transcript import TranscribeOptions, Transcript

OnText = Callable[[str], None]
"""Receives each new piece of text while it is decoded. The pieces, concatenated, are the transcript's text."""


class ModelHost(Protocol):
    """What every engine does with its models."""

    async def start(self) -> None:
        """Begins to load the models and returns at once; `models()` reports the progress."""

    async def close(self) -> None:
        """Ends every thread and process and frees the memory."""

    def models(self) -> Sequence[ModelInfo]:
        """Every model that a request may name, in the order in which they are listed."""
        ...

    async def load(self, model_id: str) -> ModelInfo:
        """Begins to load a model, if it is not ready, and returns its state.

        Raises:
            ServiceError: MODEL_NOT_FOUND.
        """
        ...

    async def unload(self, model_id: str) -> ModelInfo:
        """Frees a model's memory; its weights stay on disk.

        Raises:
            ServiceError: MODEL_NOT_FOUND.
        """
        ...

    async def remove(self, model_id: str) -> ModelInfo:
        """Unloads a model and removes its weights from the disk. A later request or download may bring them back.

        Raises:
            ServiceError: MODEL_NOT_FOUND; UNSUPPORTED_PARAMETER if the engine cannot remove these weights;
                MODEL_IN_USE if another program is writing them.
        """
        ...


class Transcriber(ModelHost, Protocol):
    async def transcribe(
        self, audio: WavAudio, options: TranscribeOptions, on_text: OnText | None = None
    ) -> Transcript:
        """Transcribes a segment.

        Args:
            audio: up to MAX_SEGMENT_S of speech.
            options: must be allowed by the model's capabilities.
            on_text: called in this event loop with each piece of text, by engines that decode word by word.

        Raises:
            ServiceError: MODEL_NOT_FOUND, MODEL_NOT_READY, UNSUPPORTED_PARAMETER, OVERLOADED, or INTERNAL.
        """
        ...

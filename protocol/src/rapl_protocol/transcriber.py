"""What an engine must be able to do. It knows nothing of HTTP, of response formats or of OpenAI."""

from collections.abc import Callable, Sequence
from typing import Protocol

from rapl_protocol.audio import WavAudio
from rapl_protocol.models import ModelInfo
from rapl_protocol.transcript import TranscribeOptions, Transcript

OnText = Callable[[str], None]
"""Receives each new piece of text while it is decoded. The pieces, concatenated, are the transcript's text."""


class Transcriber(Protocol):
    async def start(self) -> None:
        """Begins to make its models ready and returns at once; progress shows in `models()`."""

    async def close(self) -> None:
        """Gives back every thread, process and buffer."""

    def models(self) -> Sequence[ModelInfo]:
        """Every model that may be asked for, in the order in which to list them."""
        ...

    async def load(self, model_id: str) -> ModelInfo:
        """Begins to make a model ready, if it is not, and returns its state.

        Raises:
            ServiceError: MODEL_NOT_FOUND.
        """
        ...

    async def unload(self, model_id: str) -> ModelInfo:
        """Gives back a model's memory; its weights stay on disk.

        Raises:
            ServiceError: MODEL_NOT_FOUND.
        """
        ...

    async def transcribe(
        self, audio: WavAudio, options: TranscribeOptions, on_text: OnText | None = None
    ) -> Transcript:
        """Transcribes up to MAX_SEGMENT_S of audio.

        Args:
            audio: what was said.
            options: that the model's capabilities allow.
            on_text: called in this event loop as words come, by an engine that has them before the end.

        Raises:
            ServiceError: MODEL_NOT_FOUND, MODEL_NOT_READY, UNSUPPORTED_PARAMETER, OVERLOADED, or INTERNAL.
        """
        ...

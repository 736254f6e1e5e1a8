"""The interface of the runtimes that compute SenseVoice."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rapl_protocol.audio import WavAudio

from rapl_sensevoice.model.words import TimedToken


@dataclass(frozen=True, slots=True)
class Decoded:
    rich_text: str
    """The text as the model wrote it, with its tags."""
    tokens: tuple[TimedToken, ...] | None = None
    """The tokens whose times become the times of words; None if times were not requested or could not be found."""
    path: tuple[TimedToken, ...] = ()
    """The tokens of the text on the most probable path, with their log-probabilities."""


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """One clip to decode."""

    features: Any
    """The result of `Runtime.features`."""
    language: str | None
    with_times: bool


class Runtime(Protocol):
    """One model. Only the inference thread calls it, except `features` and `batch_key`, which are thread-safe."""

    def load(self, folder: Path) -> None:
        """Loads verified weights from `folder`. Model libraries are imported here and not earlier."""

    def unload(self) -> None:
        """Frees the memory of the model."""

    def features(self, audio: WavAudio) -> Any:
        """Returns the input of `decode`: log-mel features, or the audio itself for FunASR, which computes its own."""

    def batch_key(self, audio: WavAudio) -> tuple[Hashable, int]:
        """Returns a key that is equal for clips that may share a batch, and the size of the largest batch."""
        ...

    def decode(self, features: Any, language: str | None, *, with_times: bool) -> Decoded:
        """Transcribes one clip; `language` is one of `rich_tags.LANGUAGES`, or None to detect it."""
        ...

    def decode_batch(self, requests: Sequence[DecodeRequest]) -> Sequence[Decoded]:
        """Transcribes several clips with the same batch key. Each result is the same as that of `decode`."""
        ...

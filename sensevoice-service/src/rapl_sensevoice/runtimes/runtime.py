"""The seam between what SenseVoice is asked for and what computes it."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rapl_protocol.audio import WavAudio

from rapl_sensevoice.model.words import TimedToken


@dataclass(frozen=True, slots=True)
class Decoded:
    rich_text: str
    """As the model wrote it, tags included."""
    tokens: tuple[TimedToken, ...] | None = None
    """None where times were not asked for, or the runtime has none."""


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """What one request wants of a model."""

    features: Any
    """As `Runtime.features` makes it."""
    language: str | None
    with_times: bool


class Runtime(Protocol):
    """One loaded model. One thread calls it, and nobody else; but for `features` and `batch_key`."""

    def load(self, folder: Path) -> None:
        """Takes verified weights from `folder`. Model libraries are imported here, never before."""

    def unload(self) -> None:
        """Gives the memory back, as far as a process can."""

    def features(self, audio: WavAudio) -> Any:
        """What `decode` makes the text of. Any thread may call it while the model is at work."""

    def batch_key(self, audio: WavAudio) -> tuple[Hashable, int]:
        """The same for all audio that may be decoded together, and of how many clips. Any thread may call it."""
        ...

    def decode(self, features: Any, language: str | None, *, with_times: bool) -> Decoded:
        """Transcribes; `language` is one of `rich_tags.LANGUAGES`, None to detect it."""
        ...

    def decode_batch(self, requests: Sequence[DecodeRequest]) -> Sequence[Decoded]:
        """As `decode`, for several clips of one batch_key: each gets what it would get alone."""
        ...

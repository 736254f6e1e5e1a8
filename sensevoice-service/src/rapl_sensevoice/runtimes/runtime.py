"""The interface of the runtimes that compute SenseVoice."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rapl_protocol.audio import WavAudio

from rapl_sensevoice.keywords.context_graph import ContextGraph
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
    """One of `rich_tags.LANGUAGES`, or None to detect it."""
    with_times: bool
    languages: tuple[str, ...] = ()
    """The languages among which it is detected; all if there are none."""
    itn: bool = True
    """Whether the text has numerals and punctuation ("inverse text normalisation")."""
    graph: ContextGraph | None = None
    """The keywords; None if there are none."""


class Runtime(Protocol):
    """One model. Only the inference thread calls it. `features`, `graph` and `batch_key` are thread-safe."""

    def load(self, folder: Path) -> None:
        """Loads verified weights from `folder`. Model libraries are imported here and not earlier."""

    def unload(self) -> None:
        """Frees the memory of the model."""

    def features(self, audio: WavAudio) -> Any:
        """Returns the input of `decode`: log-mel features, or the audio itself for FunASR, which computes its own."""

    def batch_key(self, audio: WavAudio) -> tuple[Hashable, int]:
        """Returns a key that is equal for clips that may share a batch, and the size of the largest batch."""
        ...

    def graph(self, keywords: tuple[str, ...]) -> ContextGraph | None:
        """Returns the graph of keywords; None if the model can write none of them. Thread-safe."""
        ...

    def decode_batch(self, requests: Sequence[DecodeRequest]) -> Sequence[Decoded]:
        """Transcribes clips with the same batch key. Each result is the same as that of a batch of one."""
        ...

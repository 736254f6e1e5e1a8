"""The text of one turn: what is sent while a person speaks, and the whole when the turn has ended."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from rapl_protocol.transcript import TokenLogprob, TranscribeOptions

from rapl_gateway.backends.backend import Backends
from rapl_gateway.backends.catalog import Route
from rapl_gateway.settings import Settings
from rapl_gateway.transcription.pipeline import Pipeline
from rapl_gateway.transcription.result import Problem


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Text that is appended to what was sent before. It is never taken back."""

    text: str
    """Not empty."""
    logprobs: tuple[TokenLogprob, ...] | None = None
    """None if they were not requested, or not known for exactly this text."""


@dataclass(frozen=True, slots=True)
class TurnCompleted:
    """The whole text of a turn."""

    transcript: str
    """All deltas, joined; "" if there is no speech."""
    duration_s: float
    """Length of the turn's audio in seconds, as it is counted for `usage`."""
    languages: tuple[str, ...] = ()
    """ISO 639 codes that the engine detected, the one with the most audio first."""
    logprobs: tuple[TokenLogprob, ...] | None = None
    """None if they were not requested, or if the transcript is not exactly the text of the final pass."""
    coverage: float | None = None
    """As `TranscriptBuilder.coverage`."""
    problems: tuple[Problem, ...] = ()
    """As `TranscriptBuilder.problems`; their times count from the start of the turn."""
    settled: int = 0
    """Words that were sent before the turn was committed; in scripts without spaces, characters."""
    disagreed: int = 0
    """How many of them the final pass has otherwise."""


class TurnText:
    """The text of one turn. Made by `TurnTexts.begin`.

    While audio is appended, the turn is transcribed again and again, and words on which consecutive passes agree are
    sent as deltas. `commit` starts the final pass at once. The final text appends to the deltas and never changes them.
    """

    def append(self, audio: bytes) -> None:
        """Adds audio to the turn.

        Args:
            audio: 16 kHz mono s16le, a whole number of samples.
        """
        raise NotImplementedError

    def commit(self) -> None:
        """Ends the turn: no more audio follows. The final pass begins at once. A second call does nothing."""
        raise NotImplementedError

    def events(self) -> AsyncGenerator[TextDelta | TurnCompleted, None]:
        """Yields the deltas, then one TurnCompleted. May be called once, before or after `commit`.

        Raises:
            ServiceError: the final pass failed; the turn has no text beyond the deltas that were yielded. Failures
                before the commit are not raised: they only mean fewer deltas.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """Cancels what still runs for the turn. Must be called once for every turn, also after a failure."""
        raise NotImplementedError


class TurnTexts:
    """Begins turns, and shares each engine's time between the open ones.

    Args:
        backends: the engines.
        pipeline: transcribes the final pass, as it does files.
        settings: the gateway's settings.
    """

    def __init__(self, backends: Backends, pipeline: Pipeline, settings: Settings) -> None:
        self._backends = backends
        self._pipeline = pipeline
        self._settings = settings

    def begin(
        self,
        options: TranscribeOptions,
        route: Route,
        client_id: str,
        *,
        request_id: str,
        streams_words: bool = False,
        has_deltas: bool = True,
        is_detected: bool = False,
    ) -> TurnText:
        """Begins a turn.

        Args:
            options: as for a file; `options.model` is `route.engine_model`.
            route: the route of the session's model.
            client_id: the client, with whom others take turns.
            request_id: goes into logs and to the engine.
            streams_words: whether the words of the final pass are sent as they are decoded. A doubted text that was
                sent cannot be transcribed again.
            has_deltas: whether words are sent before the commit. If not, there is only the final pass.
            is_detected: whether speech detection has found speech at the beginning of the turn. If not, the turn is
                checked for speech before it is transcribed.
        """
        raise NotImplementedError

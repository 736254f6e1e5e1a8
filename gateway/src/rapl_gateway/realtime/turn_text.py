"""The text of one turn: what is sent while a person speaks, and the whole when the turn has ended."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from rapl_protocol.audio import BYTES_PER_SECOND
from rapl_protocol.errors import ServiceError
from rapl_protocol.models import ModelState
from rapl_protocol.segmentation import SEARCH_S, quietest_point
from rapl_protocol.transcript import TokenLogprob, TranscribeOptions, join_texts
from rapl_service.telemetry.tracing import span

from rapl_gateway.backends.backend import Backend, Backends
from rapl_gateway.backends.catalog import Route
from rapl_gateway.realtime.figures import TurnFigures
from rapl_gateway.realtime.text.final_pass import FinalPass
from rapl_gateway.realtime.text.open_part import LIMIT_BYTES, OpenPart, PassEngine
from rapl_gateway.realtime.text.passes import OpenAudio, PassLimiter
from rapl_gateway.settings import Settings
from rapl_gateway.speakers.voices import TurnVoice
from rapl_gateway.transcription.pipeline import Pipeline
from rapl_gateway.transcription.replacements import NO_REPLACEMENTS
from rapl_gateway.transcription.result import Problem

_SEARCH_BYTES = int(SEARCH_S * BYTES_PER_SECOND)


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
    """As `TranscriptBuilder.coverage`; the parts of a turn of more than 30 s count by their length."""
    problems: tuple[Problem, ...] = ()
    """As `TranscriptBuilder.problems`; their times count from the start of the turn."""
    settled: int = 0
    """Words that were sent before the turn was committed; in scripts without spaces, characters."""
    disagreed: int = 0
    """How many of them the final pass has otherwise."""
    retried: tuple[str, ...] = ()
    """The reason of each place whose first text was in doubt."""
    speaker: str | None = None
    """Who speaks, by the letters of the session; None if it was not requested, or is not known."""


class TurnText:
    """The text of one turn. Made by `TurnTexts.begin`.

    While audio is appended, the turn is transcribed again and again, and words on which consecutive passes agree are
    sent as deltas. `commit` starts the final pass at once. The final text appends to the deltas and never changes them.
    """

    def __init__(
        self, engine: PassEngine, options: TranscribeOptions, final: FinalPass, *, has_deltas: bool, is_detected: bool
    ) -> None:
        self.replacements = NO_REPLACEMENTS
        """What the reader of the events is to replace in them."""
        self.voice: TurnVoice | None = None
        """Gets the audio of the turn too, from who appends it; None if speakers were not requested."""
        self._final = final
        self._has_deltas = has_deltas
        self._events: asyncio.Queue[TextDelta | None] = asyncio.Queue()
        self._changed = asyncio.Event()
        self._committed = asyncio.Event()
        self._part = OpenPart(engine, options, OpenAudio(), is_detected=is_detected)
        self._transcript = ""
        self._begins_part = False
        """Whether the next text is the first one after a cut."""
        self._settled = self._disagreed = 0
        self._task: asyncio.Task[TurnCompleted] | None = asyncio.create_task(self._run())
        """None after `close`."""

    def append(self, audio: bytes) -> None:
        """Adds audio to the turn.

        Args:
            audio: 16 kHz mono s16le, a whole number of samples.
        """
        self._part.append(audio)
        if self._is_too_long() or self._part.is_due():
            self._changed.set()

    def commit(self) -> None:
        """Ends the turn: no more audio follows. The final pass begins at once. A second call does nothing."""
        self._committed.set()
        self._changed.set()

    async def events(self) -> AsyncGenerator[TextDelta | TurnCompleted, None]:
        """Yields the deltas, then one TurnCompleted. May be called once, before or after `commit`.

        Raises:
            ServiceError: the final pass failed; the turn has no text beyond the deltas that were yielded. Failures
                before the commit are not raised: they only mean fewer deltas.
        """
        while (event := await self._events.get()) is not None:
            yield event
        if self._task:
            yield await self._task

    async def close(self) -> None:
        """Cancels what still runs for the turn. Must be called for every turn, also after a failure. A second call does
        nothing."""
        task, self._task = self._task, None  # its exception has a traceback with this object: that would be a cycle
        if task is None:
            return
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, ServiceError):
            raise error

    async def _run(self) -> TurnCompleted:
        try:
            await self._until_committed()
            self._part.end()
            self._finish(self._part, await self._final_text(self._part, bytes(self._part.audio.pcm)))
            return self._completed()
        except ServiceError:
            await self._committed.wait()  # a turn fails only after its end
            raise
        finally:
            self._part.end()
            self._events.put_nowait(None)

    async def _until_committed(self) -> None:
        while not self._committed.is_set():
            if self._is_too_long():
                await self._close_part()
            elif self._has_deltas and self._part.is_due():
                await self._pass()
            else:
                self._changed.clear()
                await self._changed.wait()

    def _is_too_long(self) -> bool:
        return len(self._part.audio.pcm) > LIMIT_BYTES

    async def _pass(self) -> None:
        """Runs a pass. The commit ends it, unless its text will be the final one."""
        running, committed = asyncio.create_task(self._part.run_pass()), asyncio.create_task(self._committed.wait())
        try:
            await asyncio.wait({running, committed}, return_when=asyncio.FIRST_COMPLETED)
            if running.done() or self._part.has_all_sound():
                self._send(await running)
        finally:
            running.cancel()
            committed.cancel()
            await asyncio.wait({running, committed})
            del running, committed  # for the same reason as in `close`

    async def _close_part(self) -> None:
        """Cuts the turn at the quietest point of the last seconds that a segment may have. The text before the cut is
        final and is not transcribed again. What was settled after the cut is settled in the next part."""
        part, search_from = self._part, LIMIT_BYTES - _SEARCH_BYTES
        cut = search_from + quietest_point(bytes(part.audio.pcm[search_from:LIMIT_BYTES]))
        pcm = part.audio.take(cut)
        part.end()
        self._part = part.next_part()
        text = await self._final_text(part, pcm)
        self._part.settling = part.settling.split(text)
        self._finish(part, text)

    async def _final_text(self, part: OpenPart, pcm: bytes) -> str:
        """Transcribes a part for the last time. Sends what becomes known meanwhile."""
        is_whole = part is self._part
        text, known = "", part.known() if is_whole else None
        with span("final_pass", audio_s=len(pcm) / BYTES_PER_SECOND):
            async with aclosing(self._final.texts(pcm, part.options, known)) as texts:
                async for longer in texts:
                    if is_whole and text:
                        self._send(part.settling.stream(text))
                    text = longer
        return text

    def _finish(self, part: OpenPart, text: str) -> None:
        """Sends what is not yet sent of a part's final text."""
        added = part.settling.finish(text)
        self._settled += part.settling.settled
        self._disagreed += part.settling.disagreed
        if part is not self._part and self._part.settling.text:
            return  # the words after it are already sent
        self._send(added)
        self._begins_part = True

    def _send(self, text: str) -> None:
        if not text:
            return
        if self._begins_part:
            text = join_texts((self._transcript, text))[len(self._transcript) :]
            self._begins_part = False
        self._transcript += text
        self._events.put_nowait(TextDelta(text))

    def _completed(self) -> TurnCompleted:
        final = self._final
        return TurnCompleted(
            transcript=self._transcript,
            duration_s=final.duration_s,
            languages=final.languages,
            logprobs=final.logprobs if self._transcript == final.text else None,
            coverage=final.coverage,
            problems=tuple(final.problems),
            settled=self._settled,
            disagreed=self._disagreed,
            retried=tuple(final.retried),
        )


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
        self._limiters: dict[str, PassLimiter] = {}

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
        figures: TurnFigures | None = None,
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
            figures: counts its passes.
        """
        figures = figures or TurnFigures()
        backend, targets = self._backends[route.backend], self._backends.targets(route)
        limiter = self._limiters.setdefault(route.backend, PassLimiter(backend.scheduler))
        engine = PassEngine(backend, limiter, self._pipeline, self._settings, client_id, request_id, figures)
        final = FinalPass(
            self._pipeline,
            targets,
            self._settings,
            client_id=client_id,
            request_id=request_id,
            stopwatch=figures.stopwatch,
            is_model_ready=lambda: _is_ready(backend, route.engine_model),
            streams_words=streams_words,
        )
        return TurnText(engine, options, final, has_deltas=has_deltas, is_detected=is_detected)


def _is_ready(backend: Backend, model: str) -> bool:
    info = backend.info(model)
    return info is not None and info.state is ModelState.READY

"""The texts of a session's turns while they are made.

A session is one trace, and each turn is a span in it. So the trace context of the handshake, and the decision of its
caller about sampling, count for every turn, and all lines of the log of a session have one trace id. A trace for each
turn would have neither. Its price is that a long session is a large trace, whose first span is sent last; the spans of
a turn are sent when it ends. In the span of a turn, its passes are `segment` spans and the rest is in `final_pass`.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.telemetry.tracing import span

from rapl_gateway.realtime.figures import RealtimeMetrics, TurnFigures
from rapl_gateway.realtime.replaced_turn import with_replacements
from rapl_gateway.realtime.turn_text import TextDelta, TurnCompleted, TurnText
from rapl_gateway.speakers.voices import TurnVoice

log = logging.getLogger("rapl")

BeginText = Callable[[TurnFigures], Awaitable[TurnText]]
OnEvent = Callable[[str, TextDelta | TurnCompleted | ServiceError], None]
"""Is called with the item's id and with what has become of its turn. A ServiceError is the last event of a turn."""


class SessionTurns:
    """Runs one task for each turn of a session.

    Args:
        metrics: counts the turns; None: they are not counted.
    """

    def __init__(self, metrics: RealtimeMetrics | None) -> None:
        self._metrics = metrics
        self._turns: dict[str, tuple[_WaitingTurn, asyncio.Task[None]]] = {}

    def begin(self, item_id: str, begin_text: BeginText, on_event: OnEvent) -> None:
        """Begins a turn.

        Args:
            item_id: the id of its item.
            begin_text: begins its text, with the turn's figures. The turn's audio waits until it returns, for example
                while a model is loaded.
            on_event: is called for each event of the turn.
        """
        turn = _WaitingTurn(begin_text, TurnFigures(item_id, self._metrics))
        task = asyncio.create_task(_run(item_id, turn, on_event))
        self._turns[item_id] = (turn, task)
        task.add_done_callback(lambda _: self._turns.pop(item_id))

    def append(self, item_id: str, pcm: bytes) -> None:
        if item_id in self._turns:
            self._turns[item_id][0].append(pcm)

    def commit(self, item_id: str) -> None:
        if item_id in self._turns:
            self._turns[item_id][0].commit()

    def drop(self, item_id: str, error: ServiceError | None = None) -> None:
        """Cancels a turn. `error`: what the client gets instead of its text."""
        if item_id in self._turns:
            turn, task = self._turns[item_id]
            if error:
                turn.figures.outcome = error.code.value
            task.cancel()

    def drop_all(self, error: ServiceError) -> None:
        for item_id in self._turns:
            self.drop(item_id, error)

    async def close(self) -> None:
        """Cancels all turns."""
        tasks = [task for _, task in self._turns.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _run(item_id: str, turn: "_WaitingTurn", on_event: OnEvent) -> None:
    try:
        with span("turn", item_id=item_id), turn.figures.recorded():
            async with aclosing(turn.events()) as events:
                async for event in events:
                    if isinstance(event, TurnCompleted):
                        _complete(turn.figures, event)
                    on_event(item_id, event)
    except ServiceError as error:
        on_event(item_id, error)
    except Exception:
        log.exception("the text of a turn failed")
        on_event(item_id, ServiceError(ErrorCode.INTERNAL, "internal error; the server's log has the cause"))


def _complete(figures: TurnFigures, turn: TurnCompleted) -> None:
    problems = [each.reason for each in turn.problems]
    figures.complete(turn.settled, turn.disagreed, turn.coverage, turn.retried, problems)


class _WaitingTurn:
    """A turn whose text may not have begun yet."""

    def __init__(self, begin_text: BeginText, figures: TurnFigures) -> None:
        self.figures = figures
        self._begin_text = begin_text
        self._text: TurnText | None = None
        self._early: list[bytes] = []
        self._is_committed = asyncio.Event()

    def append(self, pcm: bytes) -> None:
        self.figures.audio_bytes += len(pcm)
        if self._text:
            _append(self._text, pcm)
        else:
            self._early.append(pcm)

    def commit(self) -> None:
        self.figures.commit()
        self._is_committed.set()
        if self._text:
            _commit(self._text)

    async def events(self) -> AsyncGenerator[TextDelta | TurnCompleted, None]:
        """Raises: ServiceError. It is raised after the commit only, because OpenAI's `failed` belongs to an item."""
        try:
            self._text = text = await self._begin_text(self.figures)
        except ServiceError:
            self._early.clear()
            await self._is_committed.wait()
            raise
        try:
            for pcm in self._early:
                _append(text, pcm)
            self._early.clear()
            if self._is_committed.is_set():
                _commit(text)
            async with aclosing(with_replacements(text.events(), text.replacements)) as events:
                async for event in events:
                    yield await _with_speaker(event, text.voice)
        finally:
            await text.close()
            if text.voice:
                await text.voice.close()


def _append(text: TurnText, pcm: bytes) -> None:
    text.append(pcm)
    if text.voice:
        text.voice.append(pcm)


def _commit(text: TurnText) -> None:
    text.commit()
    if text.voice:
        text.voice.commit()


async def _with_speaker(event: TextDelta | TurnCompleted, voice: TurnVoice | None) -> TextDelta | TurnCompleted:
    """Returns the event; the last one of a turn with text has its speaker."""
    if voice is None or isinstance(event, TextDelta) or not event.transcript:
        return event
    return replace(event, speaker=await voice.speaker())

"""Puts replacements into the events of a turn, so that its deltas still join to its transcript."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from rapl_gateway.realtime.turn_text import TextDelta, TurnCompleted
from rapl_gateway.transcription.replacements import ReplacedText, Replacements


async def with_replacements(
    events: AsyncGenerator[TextDelta | TurnCompleted, None], replacements: Replacements
) -> AsyncGenerator[TextDelta | TurnCompleted, None]:
    """Yields the events with the replacements. A delta waits as long as it may be the beginning of a phrase."""
    text = ReplacedText(replacements)
    async with aclosing(events):
        async for event in events:
            if not replacements:
                yield event
            elif isinstance(event, TextDelta):
                if added := text.add(event.text):
                    yield TextDelta(added)
            else:
                if rest := text.end():
                    yield TextDelta(rest)
                logprobs = event.logprobs if text.text == event.transcript else None
                yield replace(event, transcript=text.text, logprobs=logprobs)

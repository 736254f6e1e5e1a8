"""The events of `stream=true`, in the form that OpenAI's SDKs read.

Source: https://platform.openai.com/docs/api-reference/audio/transcript-text-delta-event. OpenAI's server also ends its
stream with `[DONE]`. Each event is sent in one write, because some clients cannot join an event from two reads.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Any

from rapl_protocol.errors import ServiceError
from starlette.concurrency import run_in_threadpool

from rapl_gateway.api.rendering import coverage_fields, language_fields, logprobs_field, speaker_segments
from rapl_gateway.transcription.replacements import ReplacedText
from rapl_gateway.transcription.result import TranscriptBuilder

KEEP_ALIVE_S = 15.0
"""After this many seconds without an event a comment is sent. Proxies and clients close a silent stream after a
minute."""
_KEEP_ALIVE = ": still working\n\n"


async def event_stream(
    first: asyncio.Task[str | None],
    texts: AsyncGenerator[str, None],
    result: TranscriptBuilder,
    on_failure: Callable[[ServiceError], None],
    *,
    with_logprobs: bool = False,
) -> AsyncGenerator[str, None]:
    """Yields a delta event for each text, then the segments with their speakers if they were requested, then an event
    with the whole text, then `[DONE]`. If the transcription fails, it yields an error event and ends.

    Args:
        first: a task that returns the first text, or None if there is no text. It may still be running.
        texts: the texts after the first one.
        result: the transcript, which is complete when `texts` ends.
        on_failure: called with the error if the transcription fails.
        with_logprobs: whether the last event has the log-probabilities of the tokens, if they are known.
    """
    async with aclosing(texts):
        pending, sent_s = first, 0.0
        replaced = ReplacedText(result.replacements)
        try:
            while True:
                while not (await asyncio.wait({pending}, timeout=KEEP_ALIVE_S))[0]:
                    yield _KEEP_ALIVE
                text = pending.result()
                if text is None:
                    break
                if sent := replaced.add(text):
                    yield _delta(sent)
                if result.done_s != sent_s:
                    sent_s = result.done_s
                    yield _progress(result)
                pending = next_text(texts)
        except ServiceError as error:
            on_failure(error)
            # OpenAI's two SDKs raise this event as an error. They treat a stream that ends without it as complete.
            yield f"event: error\n{_event(error.envelope())}"
            return
        finally:
            await cancelled(pending)
        if rest := replaced.end():
            yield _delta(rest)
        for segment in await run_in_threadpool(speaker_segments, result):
            yield _event(segment)
        done = {"type": "transcript.text.done", "text": result.transcript().text, **language_fields(result)}
        logprobs = logprobs_field(result) if with_logprobs else {}
        yield _event(done | logprobs | coverage_fields(result))
        yield "data: [DONE]\n\n"


def next_text(texts: AsyncGenerator[str, None]) -> asyncio.Task[str | None]:
    """Returns the next text as a task, so that the text is not lost if waiting for it is interrupted."""

    async def take() -> str | None:
        return await anext(texts, None)

    return asyncio.create_task(take())


async def cancelled(task: asyncio.Task[Any]) -> None:
    """Cancels the task and waits until it has ended; nothing happens if it already has."""
    if not task.done():
        task.cancel()
        with suppress(asyncio.CancelledError, ServiceError):
            await task


def _progress(result: TranscriptBuilder) -> str:
    """Returns the progress as a comment, which OpenAI's clients ignore. They would pass an event of an unknown type on
    to the program that uses them."""
    progress = {"done_s": round(result.done_s, 3), "duration_s": result.announced_s}
    return f": progress {json.dumps(progress)}\n\n"


def _delta(text: str) -> str:
    return _event({"type": "transcript.text.delta", "delta": text})


def _event(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False, separators=(',', ':'))}\n\n"

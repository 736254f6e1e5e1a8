"""Background tasks that run as long as the service and that nothing awaits."""

import asyncio
import contextvars
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger("rapl")


def spawn(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Starts the task. A failure is logged at once, not only when the service stops.

    It does not inherit the context: otherwise its log lines would have the ids of the request that started it.
    """
    task = asyncio.create_task(work, context=contextvars.Context())
    task.add_done_callback(_log_failure)
    return task


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("a background task failed and no longer runs", exc_info=error)

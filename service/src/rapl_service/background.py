"""Background tasks that run as long as the service, and that no code awaits."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger("rapl")


def spawn(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Starts a background task. If it fails, the error is logged at once and not only when the service stops."""
    task = asyncio.create_task(work)
    task.add_done_callback(_log_failure)
    return task


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("a background task failed and has ended", exc_info=error)

"""Work that goes on beside the requests for as long as the service runs, and that nobody awaits."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger("rapl")


def spawn(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Has it done. Should it fail, the log says so at once, and not only when the service stops."""
    task = asyncio.create_task(work)
    task.add_done_callback(_log_failure)
    return task


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("what watches over a service has failed, and no longer does", exc_info=error)

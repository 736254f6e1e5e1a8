"""The log of a service: one line for each record, on stderr."""

import logging
import time

log = logging.getLogger("rapl")


def configure_logging(level: str = "INFO") -> None:
    """Sends the log to stderr, one line for each record, with the time in UTC."""
    handler = logging.StreamHandler()
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # uvicorn writes two lines for each WebSocket connection; RequestMiddleware writes one.
    logging.getLogger("uvicorn.error.websocket").setLevel(logging.WARNING)
    # No line shows these values, so they are not looked up for each record.
    # Source: https://docs.python.org/3/howto/logging.html#optimization
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # type: ignore[attr-defined]

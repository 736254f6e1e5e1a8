"""The ids of the current request, which every line of the log has that is written for it."""

from contextvars import ContextVar

LINE_IDS: ContextVar[dict[str, str]] = ContextVar("rapl_line_ids", default={})  # noqa: B039 - it is never changed
"""`request_id`, and `trace_id` if the request is traced. Tasks inherit it from the task that creates them."""

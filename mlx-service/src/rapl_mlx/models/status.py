"""The state of one model, shown in the list of models, in the log, and as a progress bar during a download."""

import asyncio
import logging
import time

from rapl_hub.display import DownloadDisplay
from rapl_protocol.models import Capabilities, ModelInfo, ModelState, Progress

_UNKNOWN = Capabilities(is_known=False)
"""Capabilities before the first load. Until then every option is accepted, and the process checks each request."""
_SETTLED = (ModelState.ABSENT, ModelState.READY, ModelState.FAILED)

log = logging.getLogger("rapl.mlx")


class ModelStatus:
    """The current state of one model. Use it in one event loop."""

    def __init__(self, model_id: str) -> None:
        self.capabilities = _UNKNOWN
        self.settled = asyncio.Event()
        """Set while the model is neither downloading nor loading."""
        self.settled.set()
        self._display = DownloadDisplay(model_id, log)
        reason = "it loads on the first request"
        self._loading_since: float | None = None
        self._load_s: float | None = None
        self.info = ModelInfo(id=model_id, state=ModelState.ABSENT, reason=reason, capabilities=_UNKNOWN)

    @property
    def is_ready(self) -> bool:
        return self.info.state is ModelState.READY

    def show(
        self,
        state: ModelState,
        reason: str | None = None,
        remedy: str | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._time_load(state)
        before, self.info = (
            self.info,
            ModelInfo(
                id=self.info.id,
                state=state,
                reason=reason,
                remedy=remedy,
                progress=progress,
                disk_bytes=self.info.disk_bytes,
                capabilities=self.capabilities,
                load_s=self._load_s,
            ),
        )
        if (before.state, before.reason) != (state, reason):
            log.info("model=%s state=%s reason=%r remedy=%r", self.info.id, state.value, reason, remedy)
        if state is not ModelState.DOWNLOADING:
            self._display.close()
        if state in _SETTLED:
            self.settled.set()
        else:
            self.settled.clear()

    def show_disk_bytes(self, disk_bytes: int) -> None:
        self.info = self.info.model_copy(update={"disk_bytes": disk_bytes})

    def _time_load(self, state: ModelState) -> None:
        """Measures from the start of the process until the model is ready. A download does not count."""
        now = time.monotonic()
        if state is ModelState.READY and self._loading_since is not None:
            self._load_s = now - self._loading_since
        if state is not ModelState.LOADING:
            self._loading_since = None
        elif self._loading_since is None:
            self._loading_since = now

    def show_download(self, progress: Progress) -> None:
        self._display.show(progress)
        self.show(ModelState.DOWNLOADING, progress=progress)

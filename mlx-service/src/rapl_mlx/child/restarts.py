"""When a process that died is started again, and when that is given up."""

from rapl_mlx.child.contract import Failure

_MAX_IDLE_DEATHS = 5
"""In a row and before any request reached the process; then the model counts as failed."""
_TRY_AGAIN_S = 60.0
SEE_LOG = "The log of mlx-service has the cause."


class Restarts:
    """Counts deaths in a row of processes that no request had reached."""

    def __init__(self) -> None:
        self.deaths = 0

    def reset(self) -> None:
        self.deaths = 0

    def record_death(self, how: str) -> Failure | None:
        """Why no other one is started at once, if so."""
        self.deaths += 1
        if self.deaths <= _MAX_IDLE_DEATHS:
            return None
        return Failure(
            reason=f"its process ended {_MAX_IDLE_DEATHS} times in a row ({how})",
            remedy=SEE_LOG,
            retry_after_s=_TRY_AGAIN_S,
        )

    @property
    def pause_s(self) -> float:
        """Before the next one: none after the first death, then ever longer."""
        return 0.0 if self.deaths <= 1 else 0.5 * 2**self.deaths

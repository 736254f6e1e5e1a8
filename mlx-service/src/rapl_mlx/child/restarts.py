"""Decides whether and when a process that died is restarted."""

from rapl_mlx.child.contract import Failure

_MAX_IDLE_DEATHS = 5
"""Most deaths in a row of processes that had no request. After one more the model's state is `failed`."""
_TRY_AGAIN_S = 60.0
SEE_LOG = "The log of mlx-service has the cause."


class Restarts:
    """Counts deaths in a row of processes that had no request."""

    def __init__(self) -> None:
        self.deaths = 0

    def reset(self) -> None:
        self.deaths = 0

    def record_death(self, how: str) -> Failure | None:
        """Returns a failure if the process must not be restarted now."""
        self.deaths += 1
        if self.deaths <= _MAX_IDLE_DEATHS:
            return None
        return Failure(
            reason=f"its process ended {self.deaths} times in a row ({how})",
            remedy=SEE_LOG,
            retry_after_s=_TRY_AGAIN_S,
        )

    @property
    def pause_s(self) -> float:
        """Seconds before the next start: 0 after the first death, then doubled each time."""
        return 0.0 if self.deaths <= 1 else 0.5 * 2**self.deaths

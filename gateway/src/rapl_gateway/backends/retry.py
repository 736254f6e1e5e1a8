"""What the gateway does when a service fails: one table, from the error code to what happens.

Every other error code is passed on to the client as it is. Which errors a client's SDK sends again by itself is in
`rapl_protocol.errors`.
"""

import math
import time
from dataclasses import dataclass
from enum import Enum, auto

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.calls.call import ConnectError

MAX_ATTEMPTS = 2
"""Attempts of one request, the first included, that may end with a failed service: it may die for reasons of its own,
so the request is sent once more. If that fails too, the request is the probable cause."""
LONG_WAIT_FACTOR = 8
"""A segment of a long recording waits this many times longer for a restart: no person waits for it, and the whole
recording fails with it."""


class Retry(Enum):
    """Whether the same request is sent again, to another replica or to the same one once it is back."""

    NEVER = auto()
    UNTIL_DEADLINE = auto()
    """The service did no work on the request."""
    ONCE = auto()
    """The service may have failed because of the request (`MAX_ATTEMPTS`). A request that could not be sent at all
    (`ConnectError`) is sent again without limit."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What happens after an error."""

    retry: Retry = Retry.NEVER
    has_fallback: bool = False
    """A model that `rapl.toml` declares as fallback takes over, if none of the text was sent yet."""
    skips_speech_check: bool = False
    """Where preprocess-service fails so, a clip is transcribed without knowing whether it holds speech."""
    cuts_wav_here: bool = False
    """Where preprocess-service fails so, the gateway cuts a canonical WAV into segments by itself."""
    is_prepared_as_recording: bool = False
    """Where preprocess-service refuses a small file so, it is prepared as a recording: it is longer than a clip, or it
    must wait for the service."""


POLICIES = {
    ErrorCode.MODEL_NOT_READY: Policy(Retry.UNTIL_DEADLINE, has_fallback=True),
    ErrorCode.BACKEND_UNAVAILABLE: Policy(
        Retry.ONCE, has_fallback=True, skips_speech_check=True, cuts_wav_here=True, is_prepared_as_recording=True
    ),
    ErrorCode.BACKEND_TIMEOUT: Policy(skips_speech_check=True),
    ErrorCode.AUDIO_TOO_LARGE: Policy(is_prepared_as_recording=True),
}
_PASS_ON = Policy()


def policy(error: ServiceError) -> Policy:
    return POLICIES.get(error.code, _PASS_ON)


class Attempts:
    """Counts how often a request was sent to a service that failed while it had it."""

    def __init__(self) -> None:
        self._failed = 0

    def may_retry(self, error: ServiceError) -> bool:
        """Counts this failure. Returns whether the request may be sent again after it."""
        retry = policy(error).retry
        if retry is Retry.ONCE and not isinstance(error, ConnectError):
            self._failed += 1
        return retry is not Retry.NEVER and self._failed < MAX_ATTEMPTS


class RestartWindow:
    """How long requests wait for a service that is down: it was ready a moment ago, so it probably restarts.

    Args:
        wait_s: seconds, counted from when it was last ready. Requests never wait for a service that was never ready.
    """

    def __init__(self, wait_s: float) -> None:
        self._wait_s = wait_s
        self._ready_at = -math.inf

    def mark_ready(self) -> None:
        self._ready_at = time.monotonic()

    @property
    def was_ready(self) -> bool:
        return self._ready_at > -math.inf

    def is_open(self, *, is_long: bool = False) -> bool:
        wait_s = self._wait_s * (LONG_WAIT_FACTOR if is_long else 1)
        return time.monotonic() < self._ready_at + wait_s

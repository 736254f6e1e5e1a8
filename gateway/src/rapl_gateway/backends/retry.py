"""What the gateway does when a service fails: one table with a policy for each error code.

An error with any other code is passed on to the client unchanged. `rapl_protocol.errors` defines which errors tell a
client's SDK not to repeat the request.
"""

import math
import time
from dataclasses import dataclass
from enum import Enum, auto

from rapl_protocol.errors import ErrorCode, ServiceError
from rapl_service.calls.call import ConnectError

MAX_ATTEMPTS = 2
"""Most attempts of one request, including the first, in which the service may fail. A service can fail for reasons
unrelated to the request, so the request is sent once more. If the service fails again, the request is the probable
cause."""
LONG_WAIT_FACTOR = 8
"""A segment of a long recording waits this many times longer for a restart. Its text is not needed at once, and if the
segment fails, the whole recording fails."""


class Retry(Enum):
    """Whether a request is sent again, to another replica or to the same one after its restart."""

    NEVER = auto()
    UNTIL_DEADLINE = auto()
    """The request is sent again until its deadline, because the service did no work on it."""
    ONCE = auto()
    """The request is sent again once, because it may be the cause of the failure (`MAX_ATTEMPTS`). A request that could
    not be sent at all (`ConnectError`), or that waited in the service's own queue, is sent again without limit."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What happens after an error."""

    retry: Retry = Retry.NEVER
    has_fallback: bool = False
    """Whether a model that `rapl.toml` declares as fallback is used, if no text has been sent yet."""
    skips_speech_check: bool = False
    """Whether a clip is transcribed without a speech check if preprocess-service fails with this error."""
    cuts_wav_here: bool = False
    """Whether the gateway itself cuts a canonical WAV into segments if preprocess-service fails with this error."""
    is_prepared_as_recording: bool = False
    """Whether a small file is prepared as a recording if preprocess-service refuses to decode it as a clip: it is too
    long for one, or must wait for the service."""


POLICIES = {
    ErrorCode.MODEL_NOT_READY: Policy(Retry.UNTIL_DEADLINE, has_fallback=True),
    ErrorCode.BACKEND_UNAVAILABLE: Policy(
        Retry.ONCE, has_fallback=True, skips_speech_check=True, cuts_wav_here=True, is_prepared_as_recording=True
    ),
    ErrorCode.BACKEND_TIMEOUT: Policy(skips_speech_check=True),
    ErrorCode.STORAGE_FAILED: Policy(cuts_wav_here=True),
    ErrorCode.AUDIO_TOO_LARGE: Policy(is_prepared_as_recording=True),
}
_PASS_ON = Policy()


def policy(error: ServiceError) -> Policy:
    return POLICIES.get(error.code, _PASS_ON)


class Attempts:
    """Counts how often a service failed while it worked on one request."""

    def __init__(self) -> None:
        self._failed = 0

    def may_retry(self, error: ServiceError, *, was_waiting: bool = False) -> bool:
        """Counts this failure and returns whether the request may be sent again. `was_waiting`: whether the service had
        certainly not begun to work on it, so that it is not the cause."""
        retry = policy(error).retry
        if retry is Retry.ONCE and not (was_waiting or isinstance(error, ConnectError)):
            self._failed += 1
        return retry is not Retry.NEVER and self._failed < MAX_ATTEMPTS


class RestartWindow:
    """The time in which requests wait for a service that is down. A service that was ready a moment ago is probably
    restarting.

    Args:
        wait_s: length of this time, in seconds since the service was last ready. Requests do not wait for a service
            that was never ready.
    """

    def __init__(self, wait_s: float) -> None:
        self._wait_s = wait_s
        self._ready_at = -math.inf

    def mark_ready(self) -> None:
        self._ready_at = time.monotonic()

    def is_open(self, *, is_long: bool = False) -> bool:
        wait_s = self._wait_s * (LONG_WAIT_FACTOR if is_long else 1)
        return time.monotonic() < self._ready_at + wait_s

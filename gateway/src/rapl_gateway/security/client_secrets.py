"""Client secrets: short-lived keys with which a web page opens a realtime session, so that it needs no API key."""

import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rapl_protocol.errors import ErrorCode, ServiceError

PREFIX = "ek_"
MAX_SECRETS = 1_000
"""Most secrets that are valid at once. Each is kept with its session object."""


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """What the server keeps of a secret. Its value is not kept."""

    client_id: str
    """The client that created it."""
    session: Mapping[str, Any] = field(repr=False)
    """The session object with which sessions of this secret begin, as the client sent it."""
    expires_at: int
    """In seconds since 1970."""


class ClientSecrets:
    """The valid secrets, in memory.

    Args:
        clock: returns the time in seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._by_digest: dict[bytes, ClientSecret] = {}

    def create(self, client_id: str, session: Mapping[str, Any], lifetime_s: int) -> tuple[str, ClientSecret]:
        """Returns the value of a new secret, and what is kept of it.

        Raises:
            ServiceError: OVERLOADED: there are MAX_SECRETS.
        """
        now = self._clock()
        if len(self._by_digest) >= MAX_SECRETS:
            self._by_digest = {key: each for key, each in self._by_digest.items() if each.expires_at > now}
        if len(self._by_digest) >= MAX_SECRETS:
            raise ServiceError(ErrorCode.OVERLOADED, "there are too many client secrets", retry_after_s=60)
        value = f"{PREFIX}{secrets.token_hex(24)}"
        created = self._by_digest[_digest(value)] = ClientSecret(client_id, session, int(now) + lifetime_s)
        return value, created

    def find(self, value: str | None) -> ClientSecret | None:
        """The secret with this value, if it is valid."""
        found = self._by_digest.get(_digest(value)) if value and value.startswith(PREFIX) else None
        return found if found and found.expires_at > self._clock() else None


def _digest(value: str) -> bytes:
    # An attacker cannot choose digests, so the time of the lookup reveals nothing.
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).digest()

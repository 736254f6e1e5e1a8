"""Client secrets: short-lived keys with which a web page opens a realtime session, so that it needs no API key.

A gateway keeps its secrets in memory. Gateways that share a key keep nothing: the secret itself has what they need to
know, encrypted.
"""

import base64
import hashlib
import json
import secrets
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from rapl_protocol.errors import ErrorCode, ServiceError

PREFIX = "ek_"
MAX_SHARED_CHARACTERS = 6_000
"""Longest secret of gateways that share a key. Proxies refuse headers of more than 8 KiB. Source:
https://nginx.org/en/docs/http/ngx_http_core_module.html#large_client_header_buffers"""
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


class SharedClientSecrets(ClientSecrets):
    """Secrets that every gateway with the same key accepts.

    The value has the client's id, the session object and the end, compressed and encrypted: an API key could be guessed
    from its digest, which the id is.

    Args:
        key: the shared key; any text.
        clock: returns the time in seconds since 1970.
    """

    def __init__(self, key: str, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock)
        self._cipher = Fernet(base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()))

    def create(self, client_id: str, session: Mapping[str, Any], lifetime_s: int) -> tuple[str, ClientSecret]:
        """Returns the value of a new secret, and what it has.

        Raises:
            ServiceError: INVALID_REQUEST: the session object is too large.
        """
        created = ClientSecret(client_id, session, int(self._clock()) + lifetime_s)
        text = json.dumps([created.client_id, created.session, created.expires_at])
        # A subprotocol may have no `=`, so the padding is left out.
        value = PREFIX + self._cipher.encrypt(zlib.compress(text.encode())).decode().rstrip("=")
        if len(value) > MAX_SHARED_CHARACTERS:
            message = f"the session object is too large: its secret would have {len(value)} characters"
            raise ServiceError(ErrorCode.INVALID_REQUEST, message, param="session")
        return value, created

    def find(self, value: str | None) -> ClientSecret | None:
        if not value or not value.startswith(PREFIX) or not value.isascii() or len(value) > MAX_SHARED_CHARACTERS:
            return None
        token = value.removeprefix(PREFIX)
        try:
            content = self._cipher.decrypt(token + "=" * (-len(token) % 4))
        except InvalidToken:
            return None
        found = ClientSecret(*json.loads(zlib.decompress(content)))
        return found if found.expires_at > self._clock() else None


def client_secrets(shared_key: str | None) -> ClientSecrets:
    return SharedClientSecrets(shared_key) if shared_key else ClientSecrets()


def _digest(value: str) -> bytes:
    # An attacker cannot choose digests, so the time of the lookup reveals nothing.
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).digest()

"""Bearer tokens, compared in constant time."""

import hashlib
import hmac
from collections.abc import Iterable


class BearerTokens:
    """The tokens that a server accepts. It keeps their SHA-256 digests only."""

    def __init__(self, tokens: Iterable[str]) -> None:
        self._digests = [_digest(token) for token in tokens]

    def known_digest(self, authorization: str) -> bytes | None:
        """The digest of the token in an `Authorization` header; None if it is not one of these tokens."""
        scheme, _, token = authorization.partition(" ")
        given = _digest(token.strip() if scheme.lower() == "bearer" else "")
        # All tokens are compared, so that the response time does not reveal which one was similar.
        return given if any([hmac.compare_digest(given, known) for known in self._digests]) else None

    def has(self, digest_hex: str) -> bool:
        """Whether this is the digest of one of these tokens, in hexadecimal."""
        return any(digest_hex == known.hex() for known in self._digests)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()

"""Refuses unsafe settings at startup: a network address without API keys, or an incomplete TLS certificate."""

import ssl
from typing import Any

from rapl_service.http.hosts import is_loopback

from rapl_gateway.settings import Settings


def require_keys_beyond_loopback(settings: Settings) -> None:
    """Requires API keys if other machines can reach the gateway.

    Raises:
        ValueError: other machines can reach the gateway without a key, and RAPL_ALLOW_ANYONE is not `yes`.
    """
    reached_at = settings.publish or settings.host
    if is_loopback(reached_at) or settings.keys() or settings.allow_anyone:
        return
    raise ValueError(
        f"To listen on the network address {reached_at} you must set RAPL_API_KEYS,"
        " or RAPL_ALLOW_ANYONE=yes to serve every client that can connect."
    )


def tls_options(settings: Settings) -> dict[str, Any]:
    """Returns uvicorn's options for TLS; empty if RAPL_TLS_CERT and RAPL_TLS_KEY are not set.

    Raises:
        ValueError: only one of the two is set, or the files are not a certificate and its key.
    """
    if settings.tls_cert is None and settings.tls_key is None:
        return {}
    if settings.tls_cert is None or settings.tls_key is None:
        raise ValueError("set both RAPL_TLS_CERT and RAPL_TLS_KEY, or neither")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"RAPL_TLS_CERT, RAPL_TLS_KEY: {error.strerror or error}") from error
    return {"ssl_certfile": settings.tls_cert, "ssl_keyfile": settings.tls_key}

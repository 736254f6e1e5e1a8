"""Who can reach the gateway, and whether that was meant."""

import ipaddress
import ssl
from typing import Any

from rapl_gateway.settings import Settings


def require_keys_beyond_loopback(settings: Settings) -> None:
    """Raises: ValueError, where other machines could use the gateway and nobody said that they may."""
    reached_at = settings.publish or settings.host
    if is_loopback(reached_at) or settings.keys() or settings.allow_anyone == "yes":
        return
    raise ValueError(
        f"Other machines can reach the gateway at {reached_at}, and it asks for no key. Set RAPL_API_KEYS, or"
        " RAPL_ALLOW_ANYONE=yes if everybody who can reach it may use it."
    )


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def tls_options(settings: Settings) -> dict[str, Any]:
    """What uvicorn needs for TLS, if it is wanted.

    Raises:
        ValueError: one of the two files is missing, or they are no certificate with its key.
    """
    if settings.tls_cert is None and settings.tls_key is None:
        return {}
    if settings.tls_cert is None or settings.tls_key is None:
        raise ValueError("RAPL_TLS_CERT and RAPL_TLS_KEY belong together: set both, or neither")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"RAPL_TLS_CERT, RAPL_TLS_KEY: {error.strerror or error}") from error
    return {"ssl_certfile": settings.tls_cert, "ssl_keyfile": settings.tls_key}

"""Refuses unsafe settings at startup: a network address without API keys, or an incomplete TLS certificate."""

from rapl_service.http.hosts import is_loopback
from rapl_service.listening.tls import Certificate, Tls

from rapl_gateway.settings import Settings


def require_keys_beyond_loopback(settings: Settings) -> None:
    """Requires API keys if other machines can reach the gateway.

    Raises:
        ValueError: other machines can reach the gateway without a key, and RAPL_ALLOW_ANYONE is off.
    """
    reached_at = settings.publish or settings.host
    if is_loopback(reached_at) or settings.keys() or settings.allow_anyone:
        return
    variable = "RAPL_PUBLISH" if settings.publish else "RAPL_HOST"
    raise ValueError(
        f"{variable}: to listen on the network address {reached_at} you must set RAPL_API_KEYS,"
        " or RAPL_ALLOW_ANYONE=on to serve every client that can connect"
    )


def tls_of(settings: Settings) -> Tls | None:
    """Returns the TLS certificate and its port; None if no setting of TLS is set.

    Raises:
        ValueError: one of the settings is missing, or the files are not a certificate and its key.
    """
    if not (settings.tls_cert or settings.tls_key or settings.tls_port):
        return None
    if not (settings.tls_cert and settings.tls_key):
        missing = [name for name in ("tls_cert", "tls_key") if getattr(settings, name) is None]
        names = " and ".join(f"RAPL_{name.upper()}" for name in missing)
        raise ValueError(f"{names}: TLS needs RAPL_TLS_CERT and RAPL_TLS_KEY; `./rapl cert` makes both")
    if settings.tls_port == settings.port:
        raise ValueError(f"RAPL_TLS_PORT: {settings.port} is the port of RAPL_PORT; for example RAPL_TLS_PORT=8443")
    try:
        return Tls(Certificate(settings.tls_cert, settings.tls_key), settings.tls_port)
    except ValueError as error:
        raise ValueError(f"RAPL_TLS_CERT, RAPL_TLS_KEY: {error}") from error

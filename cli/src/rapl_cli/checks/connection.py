"""The way from this client to the gateway: proxies, certificate, clock and key."""

import socket
import ssl
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from rapl_cli.checks.check import Check, Scene

_LIMIT_S = 5.0
_WARNED_S = 14 * 24 * 3600
"""A certificate that ends sooner is a warning."""
_CLOCK_TOLERANCE_S = 120
_IGNORE_TIMES = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME, which Python does not name: an expired certificate is read too, so that its date can be
named. Source: https://docs.openssl.org/3.0/man3/X509_VERIFY_PARAM_set_flags/"""
_NEW_CERTIFICATE = "Make a new certificate, name it in RAPL_TLS_CERT and RAPL_TLS_KEY, and restart the gateway."


def proxies(scene: Scene) -> Check:
    """Which proxies are set, and whether they matter. Their addresses are not shown: they may contain a password."""
    names = sorted(f"{kind}_proxy" for kind in getproxies() if kind != "no")
    if not names:
        return Check.ok("proxies", "none")
    host = urlsplit(scene.address.url).hostname or ""
    listed = ", ".join(names)
    if not scene.address.is_local:
        way = "connects without them" if proxy_bypass(host) else "connects through them"
        return Check.ok("proxies", f"{listed}: `rapl` {way}")
    if proxy_bypass("127.0.0.1") and proxy_bypass("localhost"):
        return Check.ok("proxies", f"{listed}, not for this machine")
    remedy = "Set no_proxy=localhost,127.0.0.1 for them."
    return Check.warning("proxies", f"{listed}: `rapl` ignores them for this machine, other clients may not", remedy)


def certificate(scene: Scene) -> Check:
    """Whether the gateway's certificate is trusted, is valid today and has the name that is called."""
    parts = urlsplit(scene.address.url)
    if parts.scheme != "https":
        return Check.skipped("certificate", "the gateway is called without TLS")
    try:
        found = _server_certificate(scene, parts.hostname or "", parts.port or 443)
    except ssl.SSLCertVerificationError as error:
        return _untrusted(scene, error.verify_message)
    except ssl.SSLError:
        remedy = "Call it with http://, or set RAPL_TLS_CERT and RAPL_TLS_KEY for it and restart it."
        return Check.failed("certificate", "the gateway does not speak TLS", remedy)
    except OSError:
        return Check.skipped("certificate", "the gateway does not answer")
    return _validity(scene, found, parts.hostname or "")


def _untrusted(scene: Scene, reason: str) -> Check:
    if scene.address.certificate:
        remedy = "Restart the gateway if the file has changed, or set RAPL_TLS_CERT to the file that it uses."
        return Check.failed("certificate", f"it is not the one in RAPL_TLS_CERT: {reason}", remedy)
    remedy = "Set SSL_CERT_FILE to the certificate, or to that of the authority which made it."
    return Check.failed("certificate", f"not trusted: {reason}", remedy)


def _validity(scene: Scene, found: dict[str, Any], host: str) -> Check:
    ends_s, begins_s = (ssl.cert_time_to_seconds(found[name]) for name in ("notAfter", "notBefore"))
    day = datetime.fromtimestamp(ends_s, UTC).date().isoformat()
    names = _names(found)
    text = f"for {', '.join(names)}, valid until {day}"
    if begins_s > time.time():
        remedy = "Set the clock of this machine, or make a new certificate."
        return Check.failed("certificate", f"{text}, but not yet valid", remedy)
    if ends_s < time.time():
        return Check.failed("certificate", f"for {', '.join(names)}, expired on {day}", _NEW_CERTIFICATE)
    if not scene.address.certificate and not any(_matches(name, host) for name in names):
        return Check.failed("certificate", f"{text}, but not for {host}", f"Call it with --url https://{names[0]}")
    if ends_s < time.time() + _WARNED_S:
        return Check.warning("certificate", text, _NEW_CERTIFICATE)
    return Check.ok("certificate", text)


def _server_certificate(scene: Scene, host: str, port: int) -> dict[str, Any]:
    """The gateway's certificate, whatever its names and dates. Raises: SSLError, OSError."""
    context = scene.address.client_options()["verify"]
    if context is True:
        context = httpx.create_ssl_context(trust_env=not scene.address.is_local)
    context.check_hostname = False
    context.verify_flags |= _IGNORE_TIMES
    with (
        socket.create_connection((host, port), timeout=_LIMIT_S) as connection,
        context.wrap_socket(connection, server_hostname=host) as encrypted,
    ):
        return dict(encrypted.getpeercert() or {})


def _names(found: dict[str, Any]) -> list[str]:
    """The names and addresses of a certificate; the subject's common name if it has none of them."""
    names = [name for _, name in found.get("subjectAltName", ())]
    subject = [value for pairs in found["subject"] for key, value in pairs if key == "commonName"]
    return names or subject or ["no name"]


def _matches(name: str, host: str) -> bool:
    """Whether a certificate's name is that of the host. `*.` stands for one label. Source: RFC 6125, 6.4."""
    if name.startswith("*."):
        return host.partition(".")[2].lower() == name[2:].lower()
    return name.lower() == host.lower()


def clock(scene: Scene, date: str | None) -> Check:
    """Whether this machine's clock agrees with the `Date` header of the gateway."""
    if scene.address.is_local:
        return Check.skipped("clock", "the gateway is on this machine")
    try:
        difference_s = parsedate_to_datetime(date or "").timestamp() - time.time()
    except ValueError:
        return Check.skipped("clock", "the gateway does not tell its time")
    if abs(difference_s) > _CLOCK_TOLERANCE_S:
        text = f"this machine and the gateway differ by {abs(difference_s):.0f} s"
        return Check.warning("clock", text, "Set the clock that is wrong: certificates depend on it.")
    return Check.ok("clock", "agrees with the gateway's")


def api_key(scene: Scene, without_key: int, with_key: int) -> Check:
    """Whether a key is needed, and whether the one that is sent is right.

    Args:
        without_key: the gateway's HTTP status for a request without a key.
        with_key: its status for the same request of this client.
    """
    is_sent = scene.address.api_key is not None
    if without_key != 401:
        return Check.ok("API key", f"not needed{', though one is sent' if is_sent else ''}")
    if not is_sent:
        return Check.failed("API key", "needed, but none is set here", "Set RAPL_API_KEY, or use --api-key.")
    if with_key == 401:
        remedy = "Set RAPL_API_KEY, or use --api-key, with one of the gateway's RAPL_API_KEYS."
        return Check.failed("API key", "the gateway does not accept the one that is sent", remedy)
    return Check.ok("API key", "needed, and the one that is sent is accepted")

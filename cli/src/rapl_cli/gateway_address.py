"""Where the gateway is, and what a client needs to call it: the key, the certificate, and no proxy on this machine."""

import os
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from websockets.exceptions import InvalidMessage

from rapl_cli.errors import UsageError
from rapl_cli.fleet.ports import Ports

NOTHING_LISTENS = "nothing listens there"
"""The reason why a request got no response, if the gateway is not running."""
_EVERY_ADDRESS = ("", "0.0.0.0", "::")


@dataclass(frozen=True)
class GatewayAddress:
    url: str
    api_key: str | None = None
    certificate: Path | None = None
    """The certificate of the gateway on this machine; None for another machine's, which the system has to trust."""
    is_local: bool = False
    """Whether it is the gateway on this machine."""

    @classmethod
    def mine(cls, ports: Ports | None = None) -> "GatewayAddress":
        """The gateway that runs on this machine with the settings of this environment. Raises: PortError."""
        ports = ports or Ports.from_environment()
        # Beside a port for HTTPS, RAPL_PORT speaks plain HTTP, which needs no certificate.
        certificate = None if ports.gateway_tls else os.environ.get("RAPL_TLS_CERT")
        host = os.environ.get("RAPL_HOST", "")
        host = "127.0.0.1" if host in _EVERY_ADDRESS else f"[{host}]" if ":" in host else host
        url = f"{'https' if certificate else 'http'}://{host}:{ports.gateway}"
        return cls(url, _api_key(), Path(certificate) if certificate else None, is_local=True)

    @classmethod
    def chosen(cls, url: str | None, api_key: str | None = None) -> "GatewayAddress":
        """The gateway that the options of a command name, by default the one on this machine. Raises: UsageError."""
        mine = cls.mine() if url is None else cls(url.rstrip("/"), _api_key(), is_local=_is_loopback(url))
        _require_url(mine.url, "RAPL_HOST" if url is None else "--url")
        return cls(mine.url, api_key.strip(), mine.certificate, mine.is_local) if api_key else mine

    def client_options(self) -> dict[str, Any]:
        """Arguments of `httpx.AsyncClient`. Raises: UsageError, if the certificate cannot be used."""
        return {
            "base_url": self.url,
            "headers": {"authorization": f"Bearer {self.api_key}"} if self.api_key else {},
            "verify": self._pinned() if self.certificate else True,
            "trust_env": not self.is_local,  # a proxy cannot reach this machine's loopback address
        }

    def websocket_options(self, path: str) -> dict[str, Any]:
        """Arguments of `websockets.connect` for the path."""
        return {
            "uri": f"ws{self.url.removeprefix('http')}{path}",
            "additional_headers": {"authorization": f"Bearer {self.api_key}"} if self.api_key else {},
            "proxy": None if self.is_local else True,
            "compression": None,
            **({"ssl": self._pinned()} if self.certificate else {}),
        }

    def reason(self, error: Exception) -> str:
        """Describes why a request or a handshake got no response."""
        cause: BaseException | None = error
        while cause:
            if isinstance(cause, ssl.SSLCertVerificationError):
                trusted = "the one in RAPL_TLS_CERT" if self.certificate else "what this system trusts"
                return f"its certificate is not {trusted}: {cause.verify_message}"
            if isinstance(cause, ssl.SSLError):
                return "it does not speak TLS; is its URL http://?"
            if isinstance(cause, httpx.RemoteProtocolError | InvalidMessage):
                return "it does not speak plain HTTP; is its URL https://?"
            if isinstance(cause, ConnectionRefusedError):
                return NOTHING_LISTENS
            if isinstance(cause, socket.gaierror):
                return "its host name is unknown"
            cause = cause.__cause__ or cause.__context__
        is_late = isinstance(error, httpx.TimeoutException | TimeoutError)
        return "it does not answer" if is_late else type(error).__name__

    def _pinned(self) -> ssl.SSLContext:
        """Trusts this certificate alone, whatever names it has: it was made for the name that other machines use."""
        try:
            context = ssl.create_default_context(cafile=self.certificate)
        except ssl.SSLError as error:
            raise UsageError(f"RAPL_TLS_CERT: {str(self.certificate)!r} is not a certificate in PEM") from error
        except OSError as error:
            raise UsageError(f"RAPL_TLS_CERT: {str(self.certificate)!r} cannot be read: {error.strerror}") from error
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.check_hostname = False
        return context


def _api_key() -> str | None:
    """The key of RAPL_API_KEY, or the first one of the gateway's own settings."""
    names = ("RAPL_API_KEY", "RAPL_API_KEYS")
    keys = [key.strip() for name in names for key in os.environ.get(name, "").split(",")]
    if file := os.environ.get("RAPL_API_KEYS_FILE"):
        keys += _lines(Path(file))
    return next(filter(None, keys), None)


def _lines(file: Path) -> list[str]:
    try:
        return [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError):  # the gateway reports it when it starts
        return []


def _is_loopback(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:  # `_require_url` reports it
        return False
    return host in ("localhost", "::1") or host.startswith("127.")


def _require_url(url: str, source: str) -> None:
    """Raises: UsageError, which names the source of the URL."""
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        parts = httpx.URL()
    if parts.scheme not in ("http", "https") or not parts.host:
        example = "127.0.0.1" if source == "RAPL_HOST" else "http://127.0.0.1:8000"
        raise UsageError(f"{source}: {url!r} is not a URL of a gateway; for example {source}={example}")

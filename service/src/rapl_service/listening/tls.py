"""The TLS certificate of a service. A renewed one is used without a restart."""

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger("rapl")


class Certificate:
    """A certificate and its key in two PEM files, as the context of a server.

    Raises:
        ValueError: the files are not a certificate and its key; the message says which of them is wrong.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self._stamp = self._read_stamp()
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        _load(self.context, certificate, key)

    def reload_if_changed(self) -> None:
        """Uses changed files for new connections. If they are no certificate and its key, the old ones stay in use."""
        stamp = self._read_stamp()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), *self._files)  # a failure must not change the one in use
            _load(self.context, *self._files)
        except ValueError as error:
            log.warning("the changed certificate is not used reason=%s", error)
        else:
            log.info("the changed certificate is used from now on")

    def _read_stamp(self) -> tuple[int, ...]:
        """Returns the time of the last change of each file, in ns; 0 for one that does not exist at the moment."""
        return tuple(file.stat().st_mtime_ns if file.exists() else 0 for file in self._files)


@dataclass(frozen=True, slots=True)
class Tls:
    certificate: Certificate
    port: int | None = None
    """The port for HTTPS beside the one for HTTP; None: the service's only port is for HTTPS."""


def _load(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        # Without a password, OpenSSL would ask for one on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ssl.SSLError) as error:
        raise ValueError(_reason(error, certificate, key)) from error


def _reason(error: OSError, certificate: Path, key: Path) -> str:
    files = f"{str(certificate)!r} and {str(key)!r}"
    if not isinstance(error, ssl.SSLError):
        return f"{files} cannot be read: {error.strerror}"
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"the key {str(key)!r} does not belong to the certificate {str(certificate)!r}"
    return f"{files} are not a certificate and its unencrypted key in PEM ({error.reason or 'no PEM'})"

"""The ports of the services on this machine, and who uses them."""

import errno
import os
import socket
from dataclasses import dataclass

import psutil

from rapl_cli.errors import UsageError

DEFAULT_PORTS = {"RAPL_PORT": 8000, "RAPL_PREPROCESS_PORT": 8010, "RAPL_SENSEVOICE_PORT": 8020, "RAPL_MLX_PORT": 8030}
SPEAKERS_PORT, USUAL_SPEAKERS_PORT = "RAPL_SPEAKERS_PORT", 8040
"""Of a service that runs only if it is wanted."""
TLS_PORT, USUAL_TLS_PORT = "RAPL_TLS_PORT", 8443


class PortError(UsageError):
    """A variable is no port."""


@dataclass(frozen=True)
class Ports:
    """The ports on which the services listen, on 127.0.0.1."""

    gateway: int
    preprocess: int
    sensevoice: int
    mlx: int
    speakers: int = USUAL_SPEAKERS_PORT
    gateway_tls: int | None = None
    """The gateway's port for HTTPS beside the one for HTTP."""

    @classmethod
    def from_environment(cls) -> "Ports":
        """Raises: PortError, with a line for each variable that is no port."""
        defaults = {**DEFAULT_PORTS, SPEAKERS_PORT: USUAL_SPEAKERS_PORT}
        if os.environ.get(TLS_PORT):
            defaults[TLS_PORT] = USUAL_TLS_PORT
        texts = {name: os.environ.get(name, "").strip() or str(default) for name, default in defaults.items()}
        wrong = [
            f"{name}: {text!r} is not a port from 1 to 65535; for example {name}={defaults[name]}"
            for name, text in texts.items()
            if not _is_port(text)
        ]
        if wrong:
            raise PortError("\n".join(wrong))
        return cls(*map(int, texts.values()))


def port_problem(port: int, variable: str) -> str | None:
    """Returns why a service cannot listen on `port`, and what to do; None if it can.

    Args:
        port: a port of 127.0.0.1.
        variable: the environment variable that moves the service to another port.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except PermissionError:
            return f"port {port} needs the rights of an administrator; set {variable} to a port from 1024 on"
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            user = program_on(port) or "another program"
            return f"{user} uses port {port}; stop it, or set {variable} to another port"
    return None


@dataclass(frozen=True)
class ListeningProgram:
    name: str
    pid: int

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})"


def program_on(port: int) -> ListeningProgram | None:
    """The program that listens on `port`; None if the system does not tell it."""
    try:
        for connection in psutil.net_connections("tcp"):
            address = connection.laddr if connection.status == psutil.CONN_LISTEN else ()
            if address and address.port == port and connection.pid:
                return ListeningProgram(psutil.Process(connection.pid).name(), connection.pid)
    except psutil.Error:  # macOS names the connections of others to an administrator only
        pass
    return None


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536

"""Where the gateway finds its services: at the ports of this machine, or where RAPL_*_URL say."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from rapl_service.http.hosts import is_loopback

from rapl_cli.fleet.ports import Ports


@dataclass(frozen=True)
class ServiceUrls:
    """The addresses of one service, as the gateway is given them."""

    service: str
    variable: str
    """The environment variable with the addresses."""
    own_url: str
    """The address of the service that `up` starts."""
    chosen: str | None = None
    """The variable's value; None if it is not set."""

    @property
    def value(self) -> str:
        return self.chosen or self.own_url

    @property
    def urls(self) -> list[str]:
        return [url.strip().rstrip("/") for url in self.value.split(",") if url.strip()]

    @property
    def is_ours(self) -> bool:
        """Whether one of the addresses is that of the service that `up` starts."""
        return any(_place(url) == _place(self.own_url) for url in self.urls)

    def further_ports(self) -> list[int]:
        """The ports of this machine that the addresses name, besides that of the service that `up` always starts."""
        own = _place(self.own_url)
        places = [_place(url) for url in self.urls if _place(url) != own]
        return [port for scheme, host, port in places if (scheme, host) == ("http", "127.0.0.1") and port]


def service_urls(
    ports: Ports, environ: Mapping[str, str] = os.environ, *, with_speakers: bool = False
) -> dict[str, ServiceUrls]:
    """The addresses by service: preprocess-service, sensevoice-service and mlx-service, and on request speaker-service.

    Without an address the gateway answers that it does not tell speakers apart.
    """
    own = {
        "preprocess-service": ("RAPL_PREPROCESS_URL", ports.preprocess),
        "sensevoice-service": ("RAPL_SENSEVOICE_URL", ports.sensevoice),
        "mlx-service": ("RAPL_MLX_URL", ports.mlx),
    }
    if with_speakers:
        own["speaker-service"] = ("RAPL_SPEAKERS_URL", ports.speakers)
    return {
        service: ServiceUrls(service, variable, f"http://127.0.0.1:{port}", environ.get(variable) or None)
        for service, (variable, port) in own.items()
    }


def _place(url: str) -> tuple[str, str, int | None]:
    """The scheme, host and port. Every name of this machine's loopback address is the same host."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:  # the gateway reports it when it starts
        return url, "", None
    usual_port = 443 if parts.scheme == "https" else 80
    return parts.scheme, "127.0.0.1" if is_loopback(host) else host, port or usual_port

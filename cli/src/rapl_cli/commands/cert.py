"""`rapl cert`: makes a local certificate authority and a certificate for the gateway, and says how to trust them."""

import re
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

import psutil

from rapl_cli.certificates.trust import how_to_trust
from rapl_cli.checkout import STATE
from rapl_cli.errors import report

FOLDER = STATE / "tls"
_HOST_NAME = re.compile(r"(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_MAX_NAME = 253


def cert(names: Sequence[str]) -> int:
    """Keeps the authority that is there, and renews the certificate. Returns 2 if a name is no host name or address.

    Args:
        names: further host names and IP addresses that the certificate is valid for. Those of the old one stay.
    """
    wanted = [name.lower() for name in names]
    if wrong := [name for name in wanted if not _is_name(name)]:
        report(f"not a host name or an IP address: {', '.join(wrong)}; for example stt.home.lan")
        return 2
    from rapl_cli.certificates.authority import Authority, names_in  # it takes long to import

    FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority_files = FOLDER / "authority.crt", FOLDER / "authority-key.pem"
    certificate, key = FOLDER / "server.pem", FOLDER / "server-key.pem"
    authority = Authority.load(*authority_files)
    is_new = authority is None
    if authority is None:
        authority = Authority.new(socket.gethostname())
        authority.save(*authority_files)
    every = list(dict.fromkeys([*machine_names(), *wanted, *names_in(certificate)]))
    issued = authority.issue(every, certificate, key)
    print(f"{'New' if is_new else 'Kept'} authority: {authority_files[0]}")
    print(f"New certificate: {certificate}, valid until {issued.not_valid_after_utc:%Y-%m-%d} for {', '.join(every)}.")
    print("Run `./rapl cert` again before that day. A gateway that serves HTTPS takes it within 10 s.")
    print(_settings(certificate, key, every))
    print("\nOn each device, trust the authority once. Keep authority-key.pem here: it can sign for any name.\n")
    print(how_to_trust(authority_files[0]))
    return 0


def machine_names() -> list[str]:
    """Returns this machine's names and addresses. IPv6 addresses other than ::1 change often, so they are left out."""
    machine = socket.gethostname().lower()
    names = [machine, f"{machine.split('.')[0]}.local", "localhost", "127.0.0.1", "::1"]
    addresses = [
        each.address
        for interface in psutil.net_if_addrs().values()
        for each in interface
        if each.family == socket.AF_INET and not ip_address(each.address).is_link_local
    ]
    return [name for name in dict.fromkeys([*names, *addresses]) if _is_name(name)]


def _is_name(name: str) -> bool:
    return _is_address(name) or (len(name) <= _MAX_NAME and _HOST_NAME.fullmatch(name) is not None)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _settings(certificate: Path, key: Path, names: Sequence[str]) -> str:
    own = machine_names()
    others = [name for name in names if name not in own and not _is_address(name)]
    lines = [
        "\nFor HTTPS on port 8443, and HTTP on RAPL_PORT as before, write these lines into `.env` and restart:\n",
        f"  RAPL_TLS_CERT={certificate}",
        f"  RAPL_TLS_KEY={key}",
        "  RAPL_TLS_PORT=8443",
        *([f"  RAPL_ALLOWED_HOSTS={','.join(others)}"] if others else []),
        "\nOther devices also need RAPL_HOST=0.0.0.0, for which you must set RAPL_API_KEYS.",
    ]
    return "\n".join(lines)

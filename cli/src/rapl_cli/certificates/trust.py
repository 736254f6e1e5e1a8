"""How devices and programs learn to trust the authority of `rapl cert`."""

from pathlib import Path
from shlex import quote


def how_to_trust(authority: Path) -> str:
    """Returns a paragraph for each system and program."""
    file = quote(str(authority))
    ways = {
        "macOS": [f"sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain {file}"],
        "Debian, Ubuntu": [f"sudo cp {file} /usr/local/share/ca-certificates/rapl.crt && sudo update-ca-certificates"],
        "Fedora, RHEL": [f"sudo cp {file} /etc/pki/ca-trust/source/anchors/rapl.crt && sudo update-ca-trust"],
        "Windows": [f"as administrator: certutil -addstore -f Root {authority.name}"],
        "iPhone, iPad": [
            "send the file to the device and open it; Settings > General > VPN & Device Management > install it;",
            "then Settings > General > About > Certificate Trust Settings > switch it on",
        ],
        "Android": ["Settings > Security > Encryption & credentials > Install a certificate > CA certificate"],
        "Firefox": ["Settings > Privacy & Security > View Certificates > Authorities > Import > for websites"],
        "Python": [f"SSL_CERT_FILE={file} (httpx, OpenAI's SDK), REQUESTS_CA_BUNDLE={file} (requests)"],
        "Node": [f"NODE_EXTRA_CA_CERTS={file}"],
        "curl": [f"curl --cacert {file}"],
    }
    lines = ((system if number == 0 else "", line) for system, text in ways.items() for number, line in enumerate(text))
    return "\n".join(f"  {system:<16}{line}" for system, line in lines)

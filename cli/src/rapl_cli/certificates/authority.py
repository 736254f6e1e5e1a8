"""A local certificate authority, and the server certificates that it signs."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 3650
SERVER_DAYS = 397
"""Apple's systems refuse longer ones. Source: https://support.apple.com/102028 (398 days; 825 for own authorities)."""
_CLOCK_TOLERANCE = timedelta(hours=1)
"""How far a device's clock may be slow on the day of the certificate."""
_MAX_COMMON_NAME = 64


@dataclass(frozen=True, slots=True)
class Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def new(cls, machine: str) -> "Authority":
        """Makes an authority. It has the name of the machine, so that a list of several shows which is which."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(f"RAPL on {machine}")
        builder = _builder(name, name, key.public_key(), AUTHORITY_DAYS)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_key_usage(for_authority=True), critical=True)
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def load(cls, certificate: Path, key: Path) -> "Authority | None":
        """Reads an authority; None if there is none, if it is damaged or if a server certificate would outlive it."""
        if not (certificate.exists() and key.exists()):
            return None
        try:
            read = x509.load_pem_x509_certificate(certificate.read_bytes())
            private = serialization.load_pem_private_key(key.read_bytes(), password=None)
        except ValueError:
            return None
        if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != read.public_key():
            return None
        lasts = read.not_valid_after_utc > datetime.now(UTC) + timedelta(days=SERVER_DAYS)
        return cls(read, private) if lasts else None

    def save(self, certificate: Path, key: Path) -> None:
        _write(key, _key_pem(self.key), 0o600)
        _write(certificate, _certificate_pem(self.certificate), 0o644)

    def issue(self, names: Iterable[str], certificate: Path, key: Path) -> x509.Certificate:
        """Writes a new server certificate with its chain, and its key.

        Args:
            names: host names and IP addresses that the certificate is valid for, at least one.
        """
        names = list(names)
        private = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(names[0]), self.certificate.subject, private.public_key(), SERVER_DAYS)
        for extension, is_critical in (
            (x509.SubjectAlternativeName(list(map(_general_name, names))), False),
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_key_usage(for_authority=False), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False),
        ):
            builder = builder.add_extension(extension, is_critical)
        signed = builder.sign(self.key, hashes.SHA256())
        _write(certificate, _certificate_pem(signed) + _certificate_pem(self.certificate), 0o644)
        _write(key, _key_pem(private), 0o600)
        return signed


def names_in(certificate: Path) -> list[str]:
    """Returns the names and addresses of a server certificate; none if the file does not exist or is damaged."""
    try:
        read = x509.load_pem_x509_certificate(certificate.read_bytes())
        names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return []
    return [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    begin = datetime.now(UTC) - _CLOCK_TOLERANCE
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, for_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not for_authority,
        key_cert_sign=for_authority,
        crl_sign=for_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:_MAX_COMMON_NAME])])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    pem, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, pem, plain)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Replaces the file at once, so that a running gateway never reads a part of it."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)

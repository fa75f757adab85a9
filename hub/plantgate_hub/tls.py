"""The hub's TLS identity: configured certificate files, or a development CA and certificate made by the hub itself.

Agents do not trust it by its CA: they tell the hub its SHA-256 inside the signed handshake, and the hub knows its own
(`Tls.certificates`). People's browsers need a certificate of a CA they trust, or the development CA imported. That CA
is constrained to the hub's own host names, so that importing it lets nobody vouch for any other site.
"""

import datetime
import os
import ssl
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from plantgate_shared.errors import ConfigError
from plantgate_shared.identity.keys import certificate_sha256, read_private, replace_private, sync_directory
from plantgate_shared.secret import Secret

from . import config
from .keys import open_directory

DAY = 86400.0
CA_DAYS = 3650
CERTIFICATE_DAYS = 397
"""Browsers accept no more than 398 days."""
RENEW_DAYS = 30
BACKDATE_DAYS = 2
"""Certificates begin in the past, for browsers whose clock is behind."""


@dataclass(frozen=True, slots=True)
class _Files:
    """The development CA's files in the keys directory."""

    directory: Path

    @property
    def ca(self) -> Path:
        return self.directory / "ca.pem"

    @property
    def ca_key(self) -> Path:
        return self.directory / "ca.key"

    @property
    def certificate(self) -> Path:
        return self.directory / "server.pem"

    @property
    def key(self) -> Path:
        return self.directory / "server.key"


class Tls:
    """The certificate that the hub shows, renewed in place. `context` serves connections; new ones see a renewal."""

    def __init__(
        self, certificate: Path, key: Path, balancers: frozenset[bytes], files: _Files | None, names: tuple[str, ...]
    ) -> None:
        self._certificate_file = certificate
        self._key_file = key
        self._balancers = balancers
        self._files = files
        self._names = names
        self._shown: tuple[bytes, ...] = ()
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.set_alpn_protocols(["http/1.1"])

    @property
    def certificates(self) -> frozenset[bytes]:
        """SHA-256 of what agents may have seen: this certificate, its predecessor, the load balancers'."""
        return self._balancers | frozenset(self._shown)

    @property
    def ca_file(self) -> Path | None:
        """The development CA's certificate; None with configured files."""
        return self._files.ca if self._files else None

    def refresh(self, now: float) -> bool:
        """Take up a renewed certificate: ours when it nears its end, configured files when they changed on disk.

        To be called now and then (hourly). True when the certificate changed. Raises ConfigError; the old one stays.
        """
        if self._files:
            _ensure_development_certificate(self._files, self._names, now)
        leaf = _leaf_sha256(self._certificate_file)
        if self._shown and self._shown[0] == leaf:
            return False
        try:
            self.context.load_cert_chain(self._certificate_file, self._key_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"cannot use the certificate {self._certificate_file} with the key {self._key_file}: "
                f"{getattr(error, 'reason', None) or error.strerror or 'unreadable'}",
                hint="both must be PEM, without a passphrase, and belong to each other",
            ) from None
        # An agent that connected just before the renewal saw the predecessor.
        self._shown = (leaf, *self._shown[:1])
        return True


def load_or_create(settings: config.HubConfig, now: float) -> Tls:
    """The hub's TLS identity as configured. Raises ConfigError."""
    balancers = frozenset(_leaf_sha256(path) for path in settings.tls.load_balancer_certificates)
    if settings.tls.certificate is not None and settings.tls.key is not None:
        tls = Tls(settings.tls.certificate, settings.tls.key, balancers, None, ())
    else:
        open_directory(settings.keys.directory)
        files = _Files(settings.keys.directory / "tls")
        open_directory(files.directory)
        tls = Tls(files.certificate, files.key, balancers, files, _names(settings))
    tls.refresh(now)
    return tls


def _names(settings: config.HubConfig) -> tuple[str, ...]:
    names = [settings.web.portal_host, f"*.{settings.web.devices_domain}"]
    if settings.vpn.public_host and settings.vpn.public_host not in names:
        names.append(settings.vpn.public_host)
    return tuple(name.lower() for name in names)


def _leaf_sha256(path: Path) -> bytes:
    return certificate_sha256(_read_certificate(path).public_bytes(serialization.Encoding.DER))


def _read_certificate(path: Path) -> x509.Certificate:
    """The first certificate in a PEM file: the one shown to clients. Raises ConfigError."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot read the certificate {path}: {error.strerror}") from None
    except ValueError:
        raise ConfigError(f"{path} holds no certificate in PEM", hint="its first block must be the server's") from None


# --- the development CA ----------------------------------------------------------------------------------------------


def _ensure_development_certificate(files: _Files, names: tuple[str, ...], now: float) -> None:
    """Make CA and certificate where they are absent, near their end, or for other names."""
    ca = _current(files.ca, files.ca_key, now, names)
    if ca is None:
        ca_key = ec.generate_private_key(ec.SECP256R1())
        ca = _sign_ca(ca_key, names, now)
        replace_private(files.ca_key, _pem(ca_key))
        _replace_public(files.ca, ca)
    certificate = _current(files.certificate, files.key, now, names)
    if certificate is None or not _issued_by(certificate, ca):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _sign_certificate(key, ca, _load_key(files.ca_key), names, now)
        replace_private(files.key, _pem(key))
        _replace_public(files.certificate, certificate, ca)


def _current(path: Path, key: Path, now: float, names: tuple[str, ...]) -> x509.Certificate | None:
    """The certificate in `path` if it can stay: readable, with its key, long valid and for these names."""
    if not path.exists() or not key.exists():
        return None
    certificate = _read_certificate(path)
    if certificate.public_key() != _load_key(key).public_key():
        return None  # a crash between writing the two
    # A hub whose clock was wrong at its first start made one that is not valid yet.
    begins, ends = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
    if not begins <= now < ends - RENEW_DAYS * DAY or _recorded_names(certificate) != names:
        return None
    return certificate


def _recorded_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The names a certificate was made for; CA and certificate both list them as alternative names."""
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return tuple(str(name.value) for name in extension.value)


def _issued_by(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(ca)
    except Exception:  # ValueError, TypeError or InvalidSignature: all mean no
        return False
    return True


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _permitted(name: str) -> x509.GeneralName:
    """`name` as a name constraint: a host name stands for itself and everything below it."""
    try:
        return x509.IPAddress(ip_network(name))
    except ValueError:
        return x509.DNSName(name.removeprefix("*."))


def _builder(
    subject: str, issuer: x509.Name | None, key: ec.EllipticCurvePrivateKey, now: float, days: int
) -> x509.CertificateBuilder:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    start = datetime.datetime.fromtimestamp(now - BACKDATE_DAYS * DAY, datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer or name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _sign_ca(key: ec.EllipticCurvePrivateKey, names: tuple[str, ...], now: float) -> x509.Certificate:
    permitted = [_permitted(name) for name in names]
    # A kind of name without any permitted one would be unconstrained.
    if not any(isinstance(name, x509.IPAddress) for name in permitted):
        excluded = [x509.IPAddress(ip_network("0.0.0.0/0")), x509.IPAddress(ip_network("::/0"))]
    else:
        excluded = []
    return (
        _builder(f"Plantgate development CA {os.urandom(3).hex()}", None, key, now, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(ca=True), critical=True)
        .add_extension(x509.NameConstraints(permitted, excluded or None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )


def _sign_certificate(
    key: ec.EllipticCurvePrivateKey,
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    names: tuple[str, ...],
    now: float,
) -> x509.Certificate:
    return (
        _builder("Plantgate hub", ca.subject, key, now, CERTIFICATE_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(read_private(path).reveal(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigError(
            f"{path} holds no private key of the development CA", hint=f"remove {path.parent} to have a new CA made"
        )
    return key


def _pem(key: ec.EllipticCurvePrivateKey) -> Secret:
    return Secret(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def _replace_public(path: Path, *certificates: x509.Certificate) -> None:
    content = b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.chmod(0o644)
        os.replace(temporary, path)
        sync_directory(path.parent)
    except OSError as error:
        raise ConfigError(f"cannot write the certificate {path}: {error.strerror}") from None

"""The hub's certificate: a development CA that browsers could trust, renewed in time, or configured files."""

import datetime
import socket
import ssl
import stat
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from plantgate_hub import tls
from plantgate_hub.config import HubConfig, Keys, Tls, Vpn, Web
from plantgate_shared.errors import ConfigError
from plantgate_shared.identity.keys import certificate_sha256

NOW = time.time()
DAY = 86400.0


def settings(tmp_path: Path, **changes) -> HubConfig:
    return replace(HubConfig(keys=Keys(directory=tmp_path / "keys")), **changes)


def seen_by_client(server: ssl.SSLContext, ca: Path, name: str) -> bytes:
    """SHA-256 of the certificate a client sees that verifies it for `name`. Raises ssl.SSLError."""
    client = ssl.create_default_context(cafile=str(ca))
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            with server.wrap_socket(theirs, server_side=True) as connection:
                connection.recv(1)
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname=name) as connection:
            der = connection.getpeercert(binary_form=True)
            assert der is not None
            return certificate_sha256(der)
    finally:
        ours.close()
        thread.join()


def test_the_development_certificate_verifies_for_portal_and_devices(tmp_path: Path):
    hub = tls.load_or_create(settings(tmp_path), NOW)
    assert hub.ca_file is not None
    for name in ("portal.localhost", "inverter-1.devices.localhost"):
        assert {seen_by_client(hub.context, hub.ca_file, name)} == hub.certificates
    for name in ("evil.localhost", "a.b.devices.localhost"):
        with pytest.raises(ssl.SSLCertVerificationError):
            seen_by_client(hub.context, hub.ca_file, name)


def test_files_are_private_and_kept(tmp_path: Path):
    first = tls.load_or_create(settings(tmp_path), NOW)
    again = tls.load_or_create(settings(tmp_path), NOW + DAY)
    assert first.certificates == again.certificates
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys" / "tls").iterdir()}
    assert modes == {"ca.key": 0o600, "server.key": 0o600, "ca.pem": 0o644, "server.pem": 0o644}


def test_the_ca_can_vouch_for_nothing_else(tmp_path: Path):
    """A certificate for a foreign name, signed with the CA's stolen key, does not verify."""
    hub = tls.load_or_create(settings(tmp_path), NOW)
    assert hub.ca_file is not None
    files = tls._Files(tmp_path / "keys" / "tls")
    ca, ca_key = tls._read_certificate(files.ca), tls._load_key(files.ca_key)
    for number, name in enumerate(["bank.example", "127.0.0.1"]):
        key = ec.generate_private_key(ec.SECP256R1())
        forged, forged_key = tmp_path / f"forged{number}.pem", tmp_path / f"forged{number}.key"
        forged.write_bytes(
            tls._sign_certificate(key, ca, ca_key, (name,), NOW).public_bytes(serialization.Encoding.PEM)
        )
        forged_key.write_bytes(tls._pem(key).reveal())
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(forged, forged_key)
        with pytest.raises(ssl.SSLCertVerificationError, match=r"permitted subtree|excluded subtree"):
            seen_by_client(context, hub.ca_file, name)


def test_a_certificate_near_its_end_is_renewed_and_the_old_one_still_known(tmp_path: Path):
    hub = tls.load_or_create(settings(tmp_path), NOW)
    (before,) = hub.certificates
    assert not hub.refresh(NOW + (tls.CERTIFICATE_DAYS - tls.BACKDATE_DAYS - tls.RENEW_DAYS - 1) * DAY)
    ca = hub.ca_file.read_bytes() if hub.ca_file else b""
    assert hub.refresh(NOW + (tls.CERTIFICATE_DAYS - tls.BACKDATE_DAYS - tls.RENEW_DAYS) * DAY)
    assert before in hub.certificates
    assert len(hub.certificates) == 2
    assert hub.ca_file
    assert hub.ca_file.read_bytes() == ca, "the CA that people imported stays"


def test_a_certificate_from_a_wrong_clock_is_replaced(tmp_path: Path):
    wrong = tls.load_or_create(settings(tmp_path), NOW + 4000 * DAY)
    right = tls.load_or_create(settings(tmp_path), NOW)
    assert wrong.certificates != right.certificates
    assert right.ca_file is not None
    seen_by_client(right.context, right.ca_file, "portal.localhost")


def test_other_host_names_get_a_new_certificate(tmp_path: Path):
    tls.load_or_create(settings(tmp_path), NOW)
    other = settings(
        tmp_path,
        web=Web(portal_host="Portal.Example", devices_domain="devices.test"),
        vpn=Vpn(public_host="203.0.113.1"),
    )
    hub = tls.load_or_create(other, NOW)
    assert hub.ca_file is not None
    for name in ("portal.example", "x.devices.test", "203.0.113.1"):
        seen_by_client(hub.context, hub.ca_file, name)


def test_a_crash_between_key_and_certificate_is_repaired(tmp_path: Path):
    tls.load_or_create(settings(tmp_path), NOW)
    (tmp_path / "keys" / "tls" / "server.key").write_bytes(tls._pem(ec.generate_private_key(ec.SECP256R1())).reveal())
    hub = tls.load_or_create(settings(tmp_path), NOW)
    assert hub.ca_file is not None
    seen_by_client(hub.context, hub.ca_file, "portal.localhost")


def self_signed(directory: Path, name: str) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime.datetime.fromtimestamp(NOW - DAY, datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=9))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (directory / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / f"{name}.key").write_bytes(tls._pem(key).reveal())
    return directory / f"{name}.pem", directory / f"{name}.key"


def test_configured_files_and_load_balancers(tmp_path: Path):
    certificate, key = self_signed(tmp_path, "hub.example")
    balancer, _ = self_signed(tmp_path, "lb.example")
    hub = tls.load_or_create(settings(tmp_path, tls=Tls(certificate, key, (balancer,))), NOW)
    assert hub.ca_file is None
    assert len(hub.certificates) == 2
    shown = seen_by_client(hub.context, certificate, "hub.example")
    assert shown in hub.certificates
    assert not (tmp_path / "keys").exists()

    renewed, renewed_key = self_signed(tmp_path / ".", "renewed.example")
    certificate.write_bytes(renewed.read_bytes())
    key.write_bytes(renewed_key.read_bytes())
    assert hub.refresh(NOW)
    assert len(hub.certificates) == 3
    assert seen_by_client(hub.context, certificate, "renewed.example") != shown


def test_wrong_configured_files_are_named(tmp_path: Path):
    certificate, _ = self_signed(tmp_path, "one.example")
    _, other_key = self_signed(tmp_path, "two.example")
    with pytest.raises(ConfigError, match="belong to each other"):
        tls.load_or_create(settings(tmp_path, tls=Tls(certificate, other_key)), NOW)
    with pytest.raises(ConfigError, match=r"cannot read the certificate .*missing.pem: No such file"):
        tls.load_or_create(settings(tmp_path, tls=Tls(tmp_path / "missing.pem", other_key)), NOW)
    with pytest.raises(ConfigError, match="no certificate in PEM"):
        tls.load_or_create(settings(tmp_path, tls=Tls(other_key, other_key)), NOW)

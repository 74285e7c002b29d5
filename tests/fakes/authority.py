"""A certificate authority for tests: certificates for servers and clients, good ones and bad ones, in PEM files."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)
PLAIN = serialization.NoEncryption()


class Authority:
    """`ca_file` is what trusts it. Files lie in `folder`, keys with mode 0600."""

    def __init__(self, folder: Path, name: str = "test authority") -> None:
        folder.mkdir(exist_ok=True, parents=True)
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._signed(self._name, self._key, ca=True)
        self.ca_file = self._keep("ca.pem", _pem(self.certificate))

    def issue(
        self,
        name: str,
        *,
        host: str = "127.0.0.1",
        until: timedelta = DAY,
        encryption: serialization.KeySerializationEncryption = PLAIN,
    ) -> tuple[Path, Path]:
        """Make a certificate for CN=`name` that also names `host`; return its file and that of its key.

        A second call with the same `name` replaces the files, as a renewal does.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._signed(subject, key, host=host, until=until)
        words = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        return self._keep(f"{name}.pem", _pem(certificate)), self._keep(f"{name}.key", key.private_bytes(*words))

    def server(self, *, wants_client: bool = False, **certificate: Any) -> ssl.SSLContext:
        """Make a server's context; with `wants_client` it takes only clients whose certificate is of this authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue("server", **certificate))
        if wants_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca_file)
        return context

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        host: str = "",
        until: timedelta = DAY,
        ca: bool = False,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        draft = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 2 * DAY)
            .not_valid_after(now + until)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if host:
            draft = draft.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
        return draft.sign(self._key, hashes.SHA256())

    def _keep(self, name: str, content: bytes) -> Path:
        file = self.folder / name
        draft = file.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_bytes(content)
        return draft.replace(file)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)

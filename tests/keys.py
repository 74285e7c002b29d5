"""Keys and certificates for tests: made at first use, one of each kind in a process."""

import functools
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

MAKERS = {
    "RSA": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "other RSA": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "X25519": x25519.X25519PrivateKey.generate,
}
KIND_OF = {  # the key that each algorithm takes
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    "ES256": "P-256",
    "ES384": "P-384",
    "ES512": "P-521",
    "EdDSA": "Ed25519",
    "Ed25519": "Ed25519",
}
LONG_SECRET = "a shared secret of 64 bytes, as the strongest of HS512 wants it!"


@functools.cache
def private_key(kind: str) -> Any:
    return MAKERS[kind]()


def pem(kind: str, *, password: str = "", traditional: bool = False) -> str:
    """Return the private key in PKCS #8, or as OpenSSL wrote it of old; encrypted by `password` if there is one."""
    form = serialization.PrivateFormat.TraditionalOpenSSL if traditional else serialization.PrivateFormat.PKCS8
    lock = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    return private_key(kind).private_bytes(serialization.Encoding.PEM, form, lock).decode()


def public_pem(kind: str) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return private_key(kind).public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def verifier(algorithm: str, secret: str = LONG_SECRET) -> Key:
    """Return what checks a signature by `algorithm`."""
    if algorithm.startswith("HS"):
        return OctKey.import_key(secret)
    kinds = {"R": RSAKey, "P": RSAKey, "ES": ECKey, "Ed": OKPKey}
    kind = kinds.get(algorithm[:2]) or kinds[algorithm[0]]
    return kind.import_key(public_pem(KIND_OF[algorithm]))


def public_jwk(algorithm: str, **more: str) -> dict[str, Any]:
    """Return the public key that checks what is signed by `algorithm`, as a server registers it."""
    return {**verifier(algorithm).as_dict(private=False), **more}


@functools.cache
def certificate(kind: str) -> x509.Certificate:
    """Return a certificate that the key has signed for itself."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a client")])
    key, now = private_key(kind), datetime.now(UTC)
    draft = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    draft = draft.serial_number(7).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    return draft.sign(key, hashes.SHA256())


def certificate_pem(kind: str = "RSA", *, begins: datetime | None = None, ends: datetime | None = None) -> str:
    """Return a certificate of two days, or from `begins` until `ends`."""
    if begins is None or ends is None:
        return certificate(kind).public_bytes(serialization.Encoding.PEM).decode()
    name, key = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a client")]), private_key(kind)
    draft = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = draft.serial_number(7).not_valid_before(begins).not_valid_after(ends).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()

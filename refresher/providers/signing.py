"""JSON Web Signatures (RFC 7515, 7518, 8037), by joserfc: what a header and claims become under a key.

Rules of this module:
- It is the only one that knows joserfc and cryptography, and is imported when a job signs: they take 70 ms to load.
- No text of theirs leaves it: it may quote the key. What they warn of (a short key, a new name for EdDSA) is the
  provider's to judge, and would be noise on standard error.
- Some algorithms draw random numbers inside the library, which no decision depends on.
"""

import base64
import json
import warnings
from collections.abc import Mapping
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from refresher.core.errors import UnreadableReferenceError
from refresher.core.secret import Secret

Key: TypeAlias = OctKey | RSAKey | ECKey | OKPKey

_SHARED: Final = "a client secret"
_RSA: Final = "an RSA private key"
_ED: Final = "an Ed25519 private key"
_TAKES: Final[Mapping[str, tuple[type[Key], str]]] = {
    **dict.fromkeys(("HS256", "HS384", "HS512"), (OctKey, _SHARED)),
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), (RSAKey, _RSA)),
    "ES256": (ECKey, "an EC private key on P-256"),
    "ES384": (ECKey, "an EC private key on P-384"),
    "ES512": (ECKey, "an EC private key on P-521"),
    **dict.fromkeys(("EdDSA", "Ed25519"), (OKPKey, _ED)),  # the second is RFC 9864's name, which few servers know yet
}


def sign(header: Mapping[str, str], claims: Mapping[str, str | int], key: Key) -> str:
    """Return the compact JWT of `claims` under `key`, which `load` made for the header's `alg`."""
    payload = json.dumps(claims, separators=(",", ":")).encode()
    with _quietly():
        return jws.serialize_compact({"typ": "JWT", **header}, payload, key, algorithms=[header["alg"]])


def load(text: Secret, algorithm: str, *, where: str) -> Key:
    """Return the key to sign with by `algorithm`: the client secret for HS, else a private key in PEM.

    Raises UnreadableReferenceError, naming `where`, for a key that can not be read or does not fit.
    """
    if algorithm not in _TAKES:
        raise UnreadableReferenceError(where, f"the algorithm {algorithm!r} is not one of {', '.join(_TAKES)}")
    kind, takes = _TAKES[algorithm]
    try:
        with _quietly():
            key = kind.import_key(text.reveal().encode(errors="replace"))
            jws.serialize_compact({"alg": algorithm}, b"", key, algorithms=[algorithm])  # only a use tells all
    except TypeError:
        why = "the key is encrypted; store it without a passphrase"
    except JoseError:
        why = f"the key does not fit {algorithm}, which takes {takes}"
    except (ValueError, UnsupportedAlgorithm):
        why = f"this is not {takes}" + (" in PEM" if takes != _SHARED else "")
    else:
        return key
    raise UnreadableReferenceError(where, why)


def thumbprints(certificate: Secret, key: Key, *, where: str) -> dict[str, str]:
    """Return the header members that name the first certificate of a PEM (RFC 7515 sections 4.1.7 and 4.1.8).

    Raises UnreadableReferenceError, naming `where`, for what is no certificate, or one of another key.
    """
    try:
        found = x509.load_pem_x509_certificate(certificate.reveal().encode(errors="replace"))
        ours = found.public_key() == key.public_key
    except (ValueError, UnsupportedAlgorithm):
        raise UnreadableReferenceError(where, "this is not a certificate in PEM") from None
    if not ours:
        raise UnreadableReferenceError(where, "the certificate is not one of the key that signs")
    sha1, sha256 = hashes.SHA1(), hashes.SHA256()  # noqa: S303  # a name that older servers look certificates up by
    return {"x5t": _base64(found.fingerprint(sha1)), "x5t#S256": _base64(found.fingerprint(sha256))}


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _quietly() -> warnings.catch_warnings:
    return warnings.catch_warnings(action="ignore")

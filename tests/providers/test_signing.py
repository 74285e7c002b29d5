"""What is signed verifies, says what it should, and a key that is no use is told of in one line."""

import base64
import hashlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.errors import BadSignatureError

from refresher.core.errors import UnreadableReferenceError
from refresher.core.job import Job, Shape, Signing
from refresher.core.model import Reference
from tests import keys
from tests.core.builders import NOW, a_job
from tests.providers.requests import form, request_of

KEY = Reference(kind="file", target="/etc/refresher/client.pem")
CERTIFICATE = Reference(kind="file", target="/etc/refresher/client.crt")
SECRET = Reference(kind="env", target="CLIENT_SECRET")
ENDPOINT = "https://crm.example.com/oauth/token"
ASYMMETRIC = tuple(keys.KIND_OF)
SHARED = ("HS256", "HS384", "HS512")
IAT = int(NOW.timestamp())


def proving(algorithm: str = "RS256", **changes) -> Job:
    """A job whose client is proven by a JWT."""
    auth = "client_secret_jwt" if algorithm in SHARED else "private_key_jwt"
    signing = Signing(key=KEY, algorithm=algorithm, **changes)
    return a_job(client_auth=auth, shape=Shape(client_key=signing))


def granting(**changes) -> Job:
    """A job whose grant is a JWT."""
    signing = Signing(key=KEY, **changes)
    return a_job(grant="jwt_bearer", client_auth="none", shape=Shape(assertion=signing), scope=("read",))


def part(token: str, index: int) -> dict[str, object]:
    text = token.split(".")[index]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def proof_of(job: Job, text: str, **more: str) -> str:
    return form(request_of(job, client_key__key=text, **more))["client_assertion"]


@pytest.mark.parametrize("algorithm", [*ASYMMETRIC, *SHARED])
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")  # the verifier warns of the name EdDSA
def test_a_proof_verifies_by_its_algorithm(algorithm):
    text = keys.LONG_SECRET if algorithm in SHARED else keys.pem(keys.KIND_OF[algorithm])
    asked = form(request_of(proving(algorithm, key_id="k-7"), client_key__key=text))
    proven = jwt.decode(asked["client_assertion"], keys.verifier(algorithm), algorithms=[algorithm])
    assert proven.header == {"typ": "JWT", "alg": algorithm, "kid": "k-7"}
    assert proven.claims == {
        "iss": "acme",
        "sub": "acme",
        "aud": ENDPOINT,
        "iat": IAT,
        "exp": IAT + 60,
        "jti": "c-n-1",
    }
    assert asked == {
        "grant_type": "client_credentials",
        "client_id": "acme",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": asked["client_assertion"],
    }


def test_a_signature_by_another_key_does_not_verify():
    token = proof_of(proving(), keys.pem("other RSA"))
    with pytest.raises(BadSignatureError):
        jwt.decode(token, keys.verifier("RS256"), algorithms=["RS256"])


def test_a_grant_verifies_and_is_not_a_proof():
    job = granting(subject="user@acme.example", claims=(("tenant", "7"),))
    asked = form(request_of(job, assertion__key=keys.pem("RSA")))
    assert asked.keys() == {"grant_type", "assertion", "scope", "client_id"}
    assert asked["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    granted = jwt.decode(asked["assertion"], keys.verifier("RS256"), algorithms=["RS256"])
    assert granted.header == {"typ": "JWT", "alg": "RS256"}
    assert granted.claims == {
        "iss": "acme",
        "sub": "user@acme.example",
        "aud": ENDPOINT,
        "iat": IAT,
        "exp": IAT + 60,
        "jti": "g-n-1",
        "tenant": "7",
    }


def test_what_the_job_says_of_its_assertion_is_said():
    said = {"issuer": "i", "subject": "s", "audience": "https://issuer.example", "lifetime": timedelta(minutes=5)}
    claims = part(proof_of(proving(**said), keys.pem("RSA")), 1)
    assert claims["iss"], claims["sub"] == ("i", "s")
    assert claims["aud"] == "https://issuer.example"
    assert claims["exp"] - claims["iat"] == 300


def test_each_try_has_a_jti_of_its_own_and_so_has_each_part_of_it():
    job = replace(granting(), client_auth="private_key_jwt")
    job = replace(job, shape=replace(job.shape, client_key=Signing(key=KEY)))
    asked = [
        form(request_of(job, nonce=nonce, assertion__key=keys.pem("RSA"), client_key__key=keys.pem("RSA")))
        for nonce in ("n-1", "n-2")
    ]
    seen = [part(one[name], 1)["jti"] for one in asked for name in ("assertion", "client_assertion")]
    assert len(set(seen)) == 4


def test_the_client_secret_signs_where_it_is_what_both_sides_share():
    """By HS256 unless told; the job's own secret, so that its next one can take its place."""
    job = a_job(client_auth="client_secret_jwt", client_secret=SECRET)
    for shape, algorithm in ((Shape(), "HS256"), (Shape(client_key=Signing(key=SECRET, algorithm="HS512")), "HS512")):
        token = form(request_of(replace(job, shape=shape), client_secret=keys.LONG_SECRET))["client_assertion"]
        assert jwt.decode(token, keys.verifier(algorithm), algorithms=[algorithm]).claims["iss"] == "acme"


@settings(deadline=None)  # the first try imports joserfc
@given(secret=st.text(st.characters(exclude_categories=("Cs",)), min_size=1))
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")  # the verifier warns of short ones
def test_any_text_is_a_secret_to_sign_with(secret):
    job = a_job(client_auth="client_secret_jwt", client_secret=SECRET)
    token = form(request_of(job, client_secret=secret))["client_assertion"]
    assert jwt.decode(token, keys.verifier("HS256", secret), algorithms=["HS256"])


def test_a_signed_assertion_of_somebody_else_goes_as_it_is():
    shape = Shape(client_assertion=Reference(kind="file", target="/run/identity"))
    job = a_job(client_auth="private_key_jwt", shape=shape)
    asked = form(request_of(job, client_assertion="eyJ.by.somebody"))
    assert (asked["client_assertion"], asked["client_id"]) == ("eyJ.by.somebody", "acme")
    with pytest.raises(UnreadableReferenceError, match=r"client_assertion \(file:/run/identity\): is missing"):
        request_of(job)


def test_a_certificate_is_named_by_its_thumbprints():
    job = proving(algorithm="PS256", certificate=CERTIFICATE)
    header = part(proof_of(job, keys.pem("RSA"), client_key__certificate=keys.certificate_pem()), 0)
    der = keys.certificate("RSA").public_bytes(Encoding.DER)
    for name, digest in (("x5t", hashlib.sha1), ("x5t#S256", hashlib.sha256)):
        assert header[name] == base64.urlsafe_b64encode(digest(der).digest()).decode().rstrip("=")


def test_a_key_of_the_old_form_is_a_key():
    """As GitHub hands them out: BEGIN RSA PRIVATE KEY."""
    assert jwt.decode(proof_of(proving(), keys.pem("RSA", traditional=True)), keys.verifier("RS256"))


USELESS = {
    "garbage": ("RS256", lambda: "hello, this is not a key", "this is not an RSA private key in PEM"),
    "cut off": ("RS256", lambda: keys.pem("RSA")[:500], "this is not an RSA private key in PEM"),
    "encrypted": ("RS256", lambda: keys.pem("RSA", password="x"), "the key is encrypted"),
    "encrypted of old": ("RS256", lambda: keys.pem("RSA", password="x", traditional=True), "the key is encrypted"),
    "public": ("RS256", lambda: keys.public_pem("RSA"), "does not fit RS256, which takes an RSA private key"),
    "EC for RSA": ("PS384", lambda: keys.pem("P-256"), "does not fit PS384, which takes an RSA private key"),
    "another curve": ("ES384", lambda: keys.pem("P-256"), "does not fit ES384, which takes an EC private key on P-384"),
    "RSA for Ed25519": ("EdDSA", lambda: keys.pem("RSA"), "does not fit EdDSA, which takes an Ed25519 private key"),
    "no signing key": ("EdDSA", lambda: keys.pem("X25519"), "does not fit EdDSA, which takes an Ed25519 private key"),
    "public as secret": ("HS256", lambda: keys.public_pem("RSA"), "this is not a client secret"),
    "no such algorithm": ("none", lambda: keys.pem("RSA"), "the algorithm 'none' is not one of HS256, "),
    "surrogate": ("RS256", lambda: "\ud800", "this is not an RSA private key in PEM"),
}


@pytest.mark.parametrize(("algorithm", "text", "why"), USELESS.values(), ids=USELESS)
def test_a_key_that_is_no_use_is_told_of_in_one_line(algorithm, text, why):
    job, key = proving(algorithm), text()
    with pytest.raises(UnreadableReferenceError) as told:
        proof_of(job, key)
    said = str(told.value)
    assert said.startswith("client_key.key (file:/etc/refresher/client.pem): ")
    assert why in said
    assert "\n" not in said
    assert told.value.__context__ is None, "a library's text may quote the key"
    lines = [line for line in key.splitlines() if line and "-----" not in line]
    assert not any(line in said for line in lines)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("hello", "this is not a certificate in PEM"),
        (None, "is missing or empty"),
        (keys.certificate_pem("other RSA"), "the certificate is not one of the key that signs"),
    ],
    ids=["garbage", "missing", "another key's"],
)
def test_a_certificate_that_is_no_use_is_told_of(text, why):
    more = {} if text is None else {"client_key__certificate": text}
    with pytest.raises(UnreadableReferenceError) as told:
        proof_of(proving(certificate=CERTIFICATE), keys.pem("RSA"), **more)
    assert str(told.value) == f"client_key.certificate (file:/etc/refresher/client.crt): {why}"


def test_signing_says_nothing_by_itself(recwarn, capfd):
    """The library warns of short secrets and of the name EdDSA; a daemon's standard error is its log."""
    form(request_of(a_job(client_auth="client_secret_jwt", client_secret=SECRET), client_secret="short"))
    proof_of(proving("EdDSA"), keys.pem("Ed25519"))
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")

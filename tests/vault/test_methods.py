"""Every way to log in, on a real OpenBao: renewed twice, forced to log in again, and once more after a restart.

Kubernetes itself is a stub of its TokenReview API, as the auth method asks it.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from refresher.core.errors import StoreError
from refresher.core.model import Absent, Location, Reference
from refresher.core.perishable import Perishable
from refresher.core.settings import Auth, Cluster
from refresher.demo.openbao import OpenBao, _reserved_port
from refresher.host.clock import SystemClock
from refresher.host.credentials import LocalReferences
from refresher.host.kept import Kept
from refresher.http import Wire
from refresher.vault import Vault, auth, connect, lease
from tests.keys import certificate_pem, pem, public_pem
from tests.rotation.stage import Memory
from tests.servers.openbao import policy
from tests.vault.test_real import Listening

pytestmark = pytest.mark.e2e

TTL, SHARE, GIVEN_BACK_S = "30s", 0.05, 20.0
ROLE = {"token_policies": "refresher", "token_no_default_policy": True, "token_ttl": TTL}
ACCOUNT = "system:serviceaccount:apps:refresher"
PLACE = Location(mount="secret", path="tokens/nobody")
LOOK_UP = 'path "auth/approle/role/+/secret-id/lookup" { capabilities = ["update"] }'


@pytest.fixture(autouse=True)
def _soon_and_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a token renewed after a second and a half, long before it dies; and given back by a busy Vault, too."""
    monkeypatch.setattr(lease, "RENEW_SHARE", SHARE)
    monkeypatch.setattr(auth, "REVOKE_S", GIVEN_BACK_S)


class TlsOpenBao(OpenBao):
    """A server with a second listener that speaks TLS and asks for a certificate."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "inmem")
        self._tls_port = _reserved_port()
        for name, text in {"server.pem": SERVER[0], "server.key": SERVER[1]}.items():
            (folder / name).write_text(text)

    @property
    def tls_address(self) -> str:
        return f"https://127.0.0.1:{self._tls_port.getsockname()[1]}"

    def _config(self) -> dict[str, object]:
        files = {"tls_cert_file": str(self._folder / "server.pem"), "tls_key_file": str(self._folder / "server.key")}
        address = {"address": self.tls_address.removeprefix("https://")}
        config = super()._config()
        return config | {"listener": [*config["listener"], {"tcp": address | files}]}

    def wrapped(self, path: str, body: Mapping[str, object], ttl: str = "60s") -> str:
        """Ask as root for a wrapped answer; return the wrapping token."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        headers = {"X-Vault-Token": self.root_token.reveal(), "X-Vault-Wrap-TTL": ttl}
        connection.request("PUT", f"/v1/{path}", json.dumps(body), headers)
        try:
            return json.loads(connection.getresponse().read())["wrap_info"]["token"]
        finally:
            connection.close()


def server_certificate() -> tuple[str, str]:
    """Return a certificate for 127.0.0.1 and its key."""
    import ipaddress  # noqa: PLC0415  # with the next ones, for this alone

    from cryptography import x509  # noqa: PLC0415  # as above
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415  # as above

    from tests.keys import certificate, private_key  # noqa: PLC0415  # as above

    one, key = certificate("other RSA"), private_key("other RSA")
    draft = x509.CertificateBuilder().subject_name(one.subject).issuer_name(one.subject).public_key(key.public_key())
    draft = draft.serial_number(9).not_valid_before(one.not_valid_before_utc).not_valid_after(one.not_valid_after_utc)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = draft.add_extension(names, critical=False).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode(), pem("other RSA")


SERVER = server_certificate()


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[TlsOpenBao]:
    bao = TlsOpenBao(tmp_path_factory.mktemp("openbao"))
    try:
        bao.start()
        bao.mount("secret")
        bao.api("PUT", "sys/policies/acl/refresher", {"policy": f"{policy('secret')}{LOOK_UP}"})
        for method in ("approle", "jwt", "cert", "kubernetes"):
            bao.api("POST", f"sys/auth/{method}", {"type": method})
        bao.api("POST", "auth/approle/role/refresher", ROLE)
        bao.api("POST", "auth/approle/role/refresher/role-id", {"role_id": "refresher"})
        yield bao
    finally:
        bao.close()
        bao._tls_port.close()


class TokenReview(BaseHTTPRequestHandler):
    """Says of the known tokens that they are the service account's."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        known = asked["spec"]["token"] in self.server.known
        user = {"username": ACCOUNT, "uid": "1", "groups": ["system:serviceaccounts"]}
        status = {"authenticated": known} | (
            {"user": user, "audiences": asked["spec"].get("audiences", [])} if known else {}
        )
        answer = json.dumps({**asked, "status": status}).encode()
        self.send_response(201)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_words: object) -> None: ...


@contextmanager
def kubernetes() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), TokenReview) as server:
        server.known = set()
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def signed(subject: str, **claims: object) -> str:
    """Return a JWT that lives an hour, for the audience `vault`."""
    now = int(time.time())
    known = {"iss": "https://id.example.com", "aud": "vault", "sub": subject, "iat": now, "exp": now + 3600}
    return jwt.encode({"alg": "RS256"}, known | claims, RSAKey.import_key(pem("RSA")))


@dataclass
class Way:
    """One way to log in, and the folder with what was delivered for it."""

    auth: Auth
    folder: Path
    kubernetes: Any = None

    def secret(self, text: str) -> Reference:
        path = self.folder / "delivered"
        path.touch(mode=0o600)
        path.write_text(text + "\n")
        return Reference(kind="file", target=str(path))


def approle(bao: TlsOpenBao, way: Way) -> None:
    made = bao.api("PUT", "auth/approle/role/refresher/secret-id")["data"]["secret_id"]
    way.auth = Auth(method="approle", role_id="refresher", secret_id=way.secret(made))


def wrapped_secret_id(bao: TlsOpenBao, way: Way) -> None:
    token = bao.wrapped("auth/approle/role/refresher/secret-id", {})
    way.auth = Auth(method="approle", role_id="refresher", secret_id=way.secret(token), wrapped=True)


def jwt_method(bao: TlsOpenBao, way: Way) -> None:
    bao.api("POST", "auth/jwt/config", {"jwt_validation_pubkeys": [public_pem("RSA")]})
    role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"], "bound_subject": "refresher"}
    bao.api("POST", "auth/jwt/role/refresher", ROLE | role)
    way.auth = Auth(method="jwt", role="refresher", jwt=way.secret(signed("refresher")), mount="jwt")


def cert(bao: TlsOpenBao, way: Way) -> None:
    bao.api("POST", "auth/cert/certs/refresher", ROLE | {"certificate": certificate_pem(), "display_name": "r"})
    files = {"cert_file": way.folder / "client.pem", "key_file": way.folder / "client.key"}
    for path, text in zip(files.values(), (certificate_pem(), pem("RSA")), strict=True):
        path.touch(mode=0o600)
        path.write_text(text)
    way.auth = Auth(method="cert", role="refresher", mount="cert", **files)


def kubernetes_method(bao: TlsOpenBao, way: Way) -> None:
    account = {"namespace": "apps", "serviceaccount": {"name": "refresher", "uid": "1"}}
    token = signed(ACCOUNT, aud=["vault"], **{"kubernetes.io": account})
    way.kubernetes.known.add(token)
    host = f"http://127.0.0.1:{way.kubernetes.server_address[1]}"
    settings = {"kubernetes_host": host, "disable_local_ca_jwt": True, "kubernetes_ca_cert": SERVER[0]}
    settings["token_reviewer_jwt"] = signed("reviewer")
    bao.api("POST", "auth/kubernetes/config", settings)
    bound = {"bound_service_account_names": "refresher", "bound_service_account_namespaces": "apps"}
    bao.api("POST", "auth/kubernetes/role/refresher", ROLE | bound)
    way.auth = Auth(method="kubernetes", role="refresher", jwt=way.secret(token), mount="kubernetes")


WAYS: dict[str, Callable[[TlsOpenBao, Way], None]] = {
    "approle": approle,
    "wrapped secret_id": wrapped_secret_id,
    "jwt": jwt_method,
    "cert": cert,
    "kubernetes": kubernetes_method,
}


class Process:
    """One process of refresher, as far as its Vault is concerned."""

    def __init__(self, bao: TlsOpenBao, way: Way) -> None:
        address = bao.tls_address if way.auth.method == "cert" else bao.address
        ca_file = way.folder / "ca.pem"
        ca_file.write_text(SERVER[0])
        cluster = Cluster(address=address, ca_file=ca_file, auth=way.auth)
        self.wire = Wire(deadline=timedelta(seconds=5), keepalive=timedelta(seconds=300), channel=cluster.channel)
        self.http, self.sink = Listening(self.wire), Memory()
        local, kept = LocalReferences(), Kept(way.folder, "default")
        self.vault: Vault = connect(cluster, self.http, SystemClock(), local, kept, self.sink)

    def asked(self, deed: str) -> int:
        return sum(path.endswith(deed) for path in self.http.paths)

    async def end(self) -> None:
        await self.vault.aclose()
        await self.wire.aclose()


@pytest.fixture
def way(server, tmp_path, request) -> Iterator[Way]:
    one = Way(Auth(method="cert"), tmp_path)
    with kubernetes() as one.kubernetes:
        WAYS[request.param](server, one)
        yield one


@pytest.mark.parametrize("way", WAYS, indirect=True)
@pytest.mark.answer("V12")
@pytest.mark.fault("F16", "F17")
async def test_two_renewals_a_forced_login_and_a_restart(server, way):
    first = Process(server, way)
    async with asyncio.TaskGroup() as group:
        keeper = group.create_task(first.vault.keep())
        async with asyncio.timeout(30):
            while first.asked("/renew-self") < 2:
                assert await first.vault.read(PLACE) == Absent(version=0)
                await asyncio.sleep(0.1)
        keeper.cancel()
    assert (first.asked("/login"), first.asked("/unwrap")) == (1, int(way.auth.wrapped))

    token = first.vault._login._lease.token.reveal()
    server.api("POST", "auth/token/revoke", {"token": token})
    assert await first.vault.read(PLACE) == Absent(version=0)
    assert first.asked("/login") == 2
    again = {"token": first.vault._login._lease.token.reveal()}
    await first.end()
    assert server._ask("POST", "auth/token/lookup", json.dumps(again).encode(), server.root_token)[0] == 403

    second = Process(server, way)
    assert await second.vault.read(PLACE) == Absent(version=0)
    assert (second.asked("/login"), second.asked("/unwrap")) == (1, 0)
    assert not second.sink.events
    await second.end()


@pytest.mark.parametrize(
    ("way", "spoil", "why"),
    [
        ("jwt", lambda way: way.secret(signed("somebody")), "the JWT is not valid for the role"),
        ("kubernetes", lambda way: way.secret(signed("somebody", aud=[])), "the service account's token is not valid"),
        ("cert", lambda way: setattr(way, "auth", replace(way.auth, role="nobody")), "the certificate fits no role"),
        ("kubernetes", lambda way: setattr(way, "auth", replace(way.auth, role="nobody")), "there is no such role"),
        ("jwt", lambda way: setattr(way, "auth", replace(way.auth, role="nobody")), "or there is no such role"),
        ("jwt", lambda way: setattr(way, "auth", replace(way.auth, mount="nowhere")), "there is no such auth method"),
    ],
    indirect=["way"],
)
async def test_a_refusal_says_what_to_look_at(server, way, spoil, why):
    spoil(way)
    one = Process(server, way)
    with pytest.raises(StoreError, match=why) as caught:
        await one.vault.login()
    assert caught.value.code == "login"
    await one.end()


@pytest.mark.parametrize("way", ["wrapped secret_id"], indirect=True)
@pytest.mark.answer("V44")
async def test_somebody_else_unwrapped_it(server, way):
    stolen = (way.folder / "delivered").read_text().strip()
    server.api("POST", "sys/wrapping/unwrap", {"token": stolen})
    one = Process(server, way)

    with pytest.raises(StoreError):
        await one.vault.login()

    assert [(event.name, event.level) for event in one.sink.events] == [("secret_exposed", "error")]
    await one.end()


@pytest.mark.parametrize("way", ["approle"], indirect=True)
async def test_one_that_was_exchanged_on_its_way(server, way):
    token = server.wrapped("sys/wrapping/wrap", {"secret_id": "of-an-attacker"})
    way.auth = replace(way.auth, secret_id=way.secret(token), wrapped=True)
    one = Process(server, way)

    with pytest.raises(StoreError, match="exchanged on its way"):
        await one.vault.login()

    assert one.asked("/unwrap") == 0
    await one.end()


@pytest.mark.parametrize("way", WAYS, indirect=True)
async def test_what_it_logs_in_with_is_known_to_end_or_not(server, way):
    one = Process(server, way)
    await one.vault.login()
    found = await one.vault.perishable()
    assert found.what == {"jwt": "jwt", "kubernetes": "jwt", "cert": "certificate"}.get(way.auth.method, "secret_id")
    assert (found.ends_at is None) is (found.what == "secret_id")
    await one.end()


@pytest.mark.parametrize("way", ["approle"], indirect=True)
async def test_a_secret_id_that_ends_is_used_up_or_destroyed(server, way):
    limits = {"num_uses": 3, "ttl": "1h"}
    made = server.api("PUT", "auth/approle/role/refresher/secret-id", limits)["data"]["secret_id"]
    way.secret(made)
    one = Process(server, way)
    await one.vault.login()
    found = await one.vault.perishable()
    assert found.uses_left == 2
    assert found.ends_at - found.issued_at == timedelta(hours=1)

    server.api("POST", "auth/approle/role/refresher/secret-id/destroy", {"secret_id": made})

    assert await one.vault.perishable() == Perishable(what="secret_id", gone=True)
    await one.end()


@pytest.mark.answer("V42")
async def test_a_batch_token_is_followed_by_a_login(server, tmp_path):
    way = Way(Auth(method="cert"), tmp_path)
    server.api("POST", "auth/approle/role/batch", ROLE | {"token_type": "batch"})
    server.api("POST", "auth/approle/role/batch/role-id", {"role_id": "batch"})
    made = server.api("PUT", "auth/approle/role/batch/secret-id")["data"]["secret_id"]
    way.auth = Auth(method="approle", role_id="batch", secret_id=way.secret(made))
    one = Process(server, way)
    async with asyncio.TaskGroup() as group:
        keeper = group.create_task(one.vault.keep())
        async with asyncio.timeout(30):
            while one.asked("/login") < 2:
                assert await one.vault.read(PLACE) == Absent(version=0)
                await asyncio.sleep(0.1)
        keeper.cancel()
    assert one.asked("/renew-self") == 0
    await one.end()

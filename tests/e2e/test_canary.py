"""Unique secrets in every input and every reply, at level debug, with faults and traps: none is to be seen anywhere.

The provider is hostile: it repeats all that it was sent in texts, codes, headers, cookies and addresses. Environment
and home folder are full of proxies, passwords and tokens that nobody may use. One job has a defect that raises its
secrets. What is searched: the log, standard error, every page, what the verbs say, the ledger, and the journal.
"""

import asyncio
import json
import os
import re
import signal
import stat
import sys
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import httpx
import pytest

from tests import keys
from tests.e2e.site import Site
from tests.e2e.test_corpus_verb import Moved, add
from tests.fakes.authority import Authority
from tests.fakes.background import in_background
from tests.fakes.corpus_server import CorpusServer
from tests.providers.corpus import LINES
from tests.servers.plain import Asked, Reply, Server, serving
from tests.web.stage import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
BUGGY = Path(__file__).with_name("buggy.py")
SECRET_MEMBER = re.compile(rb'("(?:access_token|refresh_token|id_token|error_description)"\s*:\s*")([^"\\]{3,200})"')
VAULT_TOKEN = re.compile(r"\b(?:hvs|hvb|s|b)\.[A-Za-z0-9_-]{20,}")  # of Vault's and of OpenBao's
SENT = ("client_secret", "password", "refresh_token", "client_assertion", "assertion", "subject_token")
FINE = {"basic-grants", "post-grants", "password-grants", "refresh-grants", "vaulted", "tls", "program-0"}
ENDED = {"rotated", "rotation_rejected", "store_failed", "latched", "failing", "grant_unknown"}
PROGRAM = """
import base64, json, sys
said = json.load(sys.stdin)["password"]
print("trying", said, base64.b64encode(b"x:" + said.encode()).decode(), file=sys.stderr)
print(json.dumps({"access_token": sys.argv[2], "expires_in": 3600, "note": said}))
sys.exit(int(sys.argv[1]))
"""


class Hostile:
    """Answers as the last part of the path says, and repeats what it was sent wherever a reply has room for it."""

    def __init__(self, site: Site, trap: str) -> None:
        self._site, self._trap = site, trap
        self._issued = 0

    def answers(self, *kinds: str) -> dict[str, Any]:
        return {kind: getattr(self, kind) for kind in kinds}

    def _said(self, asked: Asked) -> str:
        """Return all that was sent, and keep it: what refresher signed itself is a secret too."""
        text = asked.body.decode()
        form = dict(parse_qsl(text or asked.query)) if not text.startswith("{") else json.loads(text)
        sent = {name: form[name] for name in SENT if name in form}
        planted = self._site.canaries.planted
        new = {f"sent {name}": value for name, value in sent.items() if value not in planted.values()}
        planted |= {f"{name} {len(planted)}": value for name, value in new.items()}
        return f"{sent} {asked.headers.get('authorization', '')} {unquote(asked.query)}"

    def _reply(self, asked: Asked, status: int, body: str) -> Reply:
        said = self._said(asked).encode("ascii", "replace").decode().replace("\n", " ")
        headers = (("Set-Cookie", f"session={said}"), ("X-Echo", said), ("WWW-Authenticate", f'Basic realm="{said}"'))
        return Reply(status=status, body=body, headers=headers)

    def _token(self, name: str) -> str:
        self._issued += 1
        return self._site.canaries.plant(f"{name} {self._issued}")

    def grants(self, asked: Asked) -> Reply:
        names = ("access_token", "refresh_token", "id_token")
        members = {name: self._token(name) for name in names} | {"expires_in": 3600, "scope": "read"}
        return self._reply(asked, 200, json.dumps(members | {"token_type": "Bearer", "note": self._said(asked)}))

    def refuses(self, asked: Asked) -> Reply:
        said = self._said(asked)
        code = next((form for form in dict(parse_qsl(asked.body.decode())).values() if len(form) > 20), said)
        told = {"error": code, "error_description": f"wrong:\r\n{said}\x1b[31m", "error_uri": f"https://x/?{said}"}
        return self._reply(asked, 401, json.dumps(told))

    def denies(self, asked: Asked) -> Reply:
        return self._reply(asked, 400, json.dumps({"error": "invalid_grant", "error_description": self._said(asked)}))

    def breaks(self, asked: Asked) -> Reply:
        return self._reply(asked, 500, f"<html>Traceback: {self._said(asked)}</html>")

    def cuts(self, asked: Asked) -> Reply:
        return self._reply(asked, 200, f'{{"access_token": "{self._token("cut")}", "x": "{self._said(asked)[:40]}')

    def leads_on(self, asked: Asked) -> Reply:
        reply = self._reply(asked, 307, "")
        return Reply(status=307, headers=(*reply.headers, ("Location", f"{self._trap}/?{asked.body.decode()}")))

    def drops(self, asked: Asked) -> None:
        self._said(asked)

    def me(self, asked: Asked) -> Reply:
        return self._reply(asked, 403, json.dumps({"error": asked.headers.get("authorization", "")}))


KINDS = ("grants", "refuses", "denies", "breaks", "cuts", "leads_on", "drops", "me")


class Planted(Moved):
    """A recorded reply with a secret of its own in each place for one."""

    @cached_property
    def spoilt(self) -> bytes:
        return SECRET_MEMBER.sub(lambda found: found[1] + self.canaries.plant(self.id).encode() + b'"', super().body)

    @property
    def body(self) -> bytes:
        return self.spoilt


def enrol(site: Site, corpus: CorpusServer, lines: Iterable[Planted]) -> None:
    """Add a job for each recorded reply, whose client secret is its own; those of the record are words like "mock"."""
    before = dict(site.canaries.planted)
    for line in lines:
        object.__setattr__(line, "canaries", site.canaries)
        add(site, line, corpus.url(line))
    own = {name: text for name, text in site.canaries.planted.items() if text.startswith(("secret-of-", "S3CR3T"))}
    site.canaries.planted = before | own


def jobs(  # a list of jobs
    site: Site, at: Server, tls: str, authority: Authority, environ: dict[str, str]
) -> None:
    """Add jobs with a secret in every key that takes one, at every kind of answer."""

    def secret(name: str) -> str:
        return site.canaries.plant(name, odd="+/= &%")

    def one(name: str, kind: str, **keys: Any) -> None:
        words = {"provider": "oauth2", "token_url": at.url(kind), "grant": "client_credentials", "client_id": name}
        if "client_secret" not in keys and keys.get("client_auth") not in {"none", "private_key_jwt"}:
            words["client_secret"] = site.secret(name, secret(name))
        site.jobs[name] = words | {"path": f"tokens/{name}", "keep": ["id_token"]} | keys

    for kind in KINDS[:-1]:
        one(f"basic-{kind}", kind)
        one(f"post-{kind}", kind, client_auth="post")
        user = {"username": "api", "password": site.secret(f"user-{kind}", secret(f"password {kind}"))}
        one(f"password-{kind}", kind, grant="password", **user)
        first = site.secret(f"refresh-{kind}", secret(f"refresh token {kind}"))
        one(f"refresh-{kind}", kind, grant="refresh_token", refresh_token=first)
    one("get", "refuses", method="GET", client_auth="post")
    one("json", "refuses", body="json", client_auth="post")
    pair = [site.secret(f"pair-{number}", secret(f"pair {number}")) for number in (1, 2)]
    one("pair", "refuses", client_secret=pair)
    key = site.secret("key", keys.pem("RSA"))
    site.canaries.planted["key, a line of it"] = keys.pem("RSA").splitlines()[9]
    del site.canaries.planted[next(name for name in site.canaries.planted if name.startswith("key "))]
    one("signed", "grants", client_auth="private_key_jwt", client_key={"key": key})
    one("signed-refused", "refuses", client_auth="private_key_jwt", client_key={"key": key})
    bad = site.secret("bad", secret("no key"))
    one("signed-wrong", "grants", client_auth="private_key_jwt", client_key={"key": bad})
    long = site.secret("hs", secret("a long client secret") * 2)
    one("signed-hs", "refuses", client_auth="client_secret_jwt", client_secret=long)
    given = site.secret("given", f"{site.canaries.plant('jwt')}.a.b")
    one("workload", "refuses", client_auth="private_key_jwt", client_assertion=given)
    one("bearer", "refuses", grant="jwt_bearer", client_auth="none", assertion={"key": key})
    subject = site.secret("subject", site.canaries.plant("subject"))
    one("exchange", "refuses", grant="token_exchange", client_auth="none", subject_token=subject)
    one("verified", "grants", verify={"url": at.url("me")})
    cert_file, key_file = authority.issue("client")
    site.canaries.planted["TLS key"] = key_file.read_text().splitlines()[1]
    files = {"ca_file": str(authority.ca_file), "cert_file": str(cert_file), "key_file": str(key_file)}
    one("tls", "grants", token_url=tls, **files)
    one("untrusted", "grants", token_url=tls)
    environ["CANARY_SECRET"] = site.canaries.plant("variable")
    one("variable", "refuses", client_secret="env:CANARY_SECRET")
    credentials = site.folder / "credentials"
    credentials.mkdir()
    (credentials / "crm").write_text(site.canaries.plant("credential"))
    environ["CREDENTIALS_DIRECTORY"] = str(credentials)
    one("credential", "refuses", client_secret="credential:crm")
    for name in ("vaulted", "denied"):
        data = {"s": site.canaries.plant(name), "other": site.canaries.plant(f"{name}, another member")}
        site.bao.api("POST", f"{site.mount}/data/clients/{name}", {"data": data})
        one(name, "grants", client_secret=f"vault:{site.mount}/clients/{name}#s")
    one("bug", "grants")
    programs(site)


def programs(site: Site) -> None:
    file = site.folder / "program.py"
    file.write_text(PROGRAM)
    for code in (0, 3):
        name = f"program-{code}"
        program = [sys.executable, str(file), str(code), site.canaries.plant(name)]
        reads = {"password": site.secret(name, site.canaries.plant(f"{name} password", odd="+/= &%'"))}
        site.jobs[name] = {"provider": "exec", "command": program, "secrets": reads, "path": f"tokens/{name}"}


def traps(site: Site, trap: str) -> dict[str, str]:
    """Return an environment, and make a home folder, of which nothing may be used."""
    home = site.folder / "home"
    home.mkdir()
    (home / ".vault-token").write_text(site.bao.root_token.reveal())
    (home / ".netrc").write_text(f"default login trapped password {site.canaries.plant('netrc')}\n")
    (home / ".netrc").chmod(0o600)
    proxies = {f"{name}_PROXY": trap for name in ("HTTP", "HTTPS", "ALL")} | {"http_proxy": trap, "https_proxy": trap}
    tokens = dict.fromkeys(("VAULT_TOKEN", "BAO_TOKEN"), site.bao.root_token.reveal())
    addresses = {"VAULT_ADDR": trap, "VAULT_NAMESPACE": "trapped", "VAULT_SKIP_VERIFY": "1", "VAULT_CACERT": "/trap"}
    others = {"SSLKEYLOGFILE": str(home / "tls.keys"), "NETRC": str(home / ".netrc"), "HOME": str(home)}
    return proxies | tokens | addresses | others


@pytest.fixture
def house(site):
    """A site that is searched by the test itself: of what stands in Vault much is a recorded word like "mock"."""
    yield site
    site.jobs.clear()
    site.canaries.planted.clear()


@pytest.mark.leak("L4", "L12", "L14", "L15", "L16", "L18", "L21", "L23", "L28", "L30", "L32")
def test_no_secret_is_seen_anywhere_and_no_trap_is_stepped_into(house, tmp_path):
    authority = Authority(tmp_path / "authority")
    loop = asyncio.new_event_loop()
    lines = {line.id: Planted(line.raw) for line in LINES if "play" not in line.context}
    corpus = CorpusServer(lines)
    served = loop.run_until_complete(asyncio.start_server(corpus.answer, "127.0.0.1", 0))
    corpus.port = served.sockets[0].getsockname()[1]
    enrol(house, corpus, lines.values())
    of_corpus, trapped = set(house.jobs), []
    with serving({}) as trap, serving({}) as provider, serving({}) as encrypted, in_background(loop, [served]):
        trap.verify_request = lambda *came: bool(trapped.append(came)) or True
        hostile = Hostile(house, trap.url(""))
        provider.answers = hostile.answers(*KINDS)
        encrypted.answers = hostile.answers("grants")
        encrypted.socket = authority.server(wants_client=True).wrap_socket(encrypted.socket, server_side=True)
        environ = traps(house, trap.url(""))
        told: list[str] = []
        provider.answers["told"] = lambda asked: told.append(f"{asked.headers} {asked.body!r}") or Reply()
        house.tables["hooks.tell"] = {
            "url": provider.url("told"),
            "secret": house.secret("hook", house.canaries.plant("hook")),
        }
        tls = f"https://127.0.0.1:{encrypted.server_port}/grants"
        jobs(house, provider, tls, authority, environ)
        port = free_port()
        house.tables["web"] = {"listen": f"127.0.0.1:{port}"}
        house.tables["limits"] = {"per_host": 16, "total": 32}
        command = ("env", *(f"{name}={text}" for name, text in environ.items()), sys.executable, str(BUGGY))
        house.allow = lambda config: Site.allow(house, config, but="clients/denied")
        with house.daemon(*command) as daemon:
            daemon.wait_until(
                lambda _: named(daemon.lines(*ENDED)) >= set(house.jobs) and named(daemon.lines("rotated")) >= FINE,
                within=90,
            )
            look_at_process(house, daemon.process.pid)
            pages = read_pages(f"http://127.0.0.1:{port}", sorted(set(house.jobs) - of_corpus))
            daemon.stop(signal.SIGKILL)
        ends = {name: {one.get("error") for one in daemon.lines(*ENDED, job=name)} for name in house.jobs}
        assert "denied" in ends["denied"]
        assert house.read("tokens/denied") is None, "no token that lay about was used"
        assert "internal" in ends["bug"]
        assert {one["where"] for one in daemon.lines("unexpected")} == {"event loop", "thread"}
        assert [encrypted.asked.keys(), provider.asked.keys()] == [{"grants"}, {*KINDS, "told"}]
        assert trapped == []
        assert not [asked for asked in provider.asked.values() if "trapped" in str(asked)]
        assert not (house.folder / "home" / "tls.keys").exists()
        for words in (("status", "--json"), ("history", "--json"), ("plan", "--json")):
            house.run(*words, env=os.environ | environ)
    look_at_state(house)
    everything = [*house.outputs, "".join(daemon.text), *pages, "".join(told)]
    assert not VAULT_TOKEN.findall("\n".join(everything)), "a Vault token"
    house.canaries.check(*everything, house.folder / "state")
    assert len(house.canaries.planted) > 500


def named(lines: Iterable[dict[str, Any]]) -> set[str | None]:
    return {one.get("job") for one in lines}


def look_at_process(site: Site, pid: int) -> None:
    """The kernel's own word on the process (proc(5)): no secret in its arguments, no core, nothing for others."""
    process = Path("/proc", str(pid))
    site.canaries.check((process / "cmdline").read_bytes())
    limits, status = ((process / name).read_text() for name in ("limits", "status"))
    assert re.search(r"^Max core file size +0 +0 +bytes", limits, re.MULTILINE)
    assert re.search(r"^Umask:\t0077$", status, re.MULTILINE)


def read_pages(url: str, names: list[str]) -> list[str]:
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        paths = ["/", "/?q=basic", "/metrics", "/healthz", "/readyz", *(f"/jobs/{name}" for name in names)]
        return [repr(reply.headers) + reply.text for reply in map(client.get, paths)]


def look_at_state(site: Site) -> None:
    """Ledger and journal are there, for nobody else to read."""
    state = site.folder / "state"
    files = [file for file in state.rglob("*") if file.is_file()]
    assert (state / "ledger-default.sqlite3") in files
    assert any(any(file.read_bytes()) for file in files if file.parent.name == "journal-default"), "an answer in it"
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}

"""A job's own certificates and proxy, against a real authorization server that tells clients by theirs (RFC 8705)."""

import asyncio
import json
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fakes.authority import Authority
from tests.fakes.proxy import proxy

pytestmark = pytest.mark.e2e
CLIENT = "certified-client"


@pytest.fixture
def certified(site, oidc_tls):
    """A job whose client is told by its certificate; `site.jobs["api"]` has its files."""
    oidc_tls.add_client(CLIENT, auth="tls", subject="CN=refresher")
    cert_file, key_file = oidc_tls.authority.issue("refresher")
    site.jobs["api"] = {
        "provider": "oauth2",
        "token_url": oidc_tls.token_url,
        "grant": "client_credentials",
        "client_auth": "tls",
        "client_id": CLIENT,
        "ca_file": str(oidc_tls.authority.ca_file),
        "cert_file": str(cert_file),
        "key_file": str(key_file),
        "path": "tokens/api",
    }
    return site


@pytest.fixture
def between():
    """A proxy that tunnels, in a thread of its own."""
    asked, told, runs = threading.Event(), [], []

    async def serve():
        stop = asyncio.Event()
        runs.append((asyncio.get_running_loop(), stop))
        async with proxy() as one:
            told.append(one)
            asked.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert asked.wait(10)
    yield told[0]
    loop, stop = runs[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join()


def once(site):
    """Walk the job by `refresher once` and return its outcome and what the log said of it."""
    site.write()
    done = site.run("once", "--force", "--json")
    said = [json.loads(line) for line in done.stderr.splitlines()]
    return json.loads(done.stdout), " ".join(str(line.get("why", "")) for line in said)


def test_a_certificate_proves_the_client(certified, oidc_tls):
    ended, _ = once(certified)

    assert ended["outcome"] == "rotated"
    assert oidc_tls.accepts(certified.token("api")["access_token"])


def test_without_a_certificate_or_with_another_one_there_is_no_token(certified, oidc_tls):
    strangers = Authority(certified.folder / "strangers", "another authority")
    files = certified.jobs["api"]["cert_file"], certified.jobs["api"]["key_file"]
    pairs = {
        "another authority's": strangers.issue("refresher"),
        "another name": oidc_tls.authority.issue("somebody-else"),
        "expired": oidc_tls.authority.issue("late", until=timedelta(days=-1)),
    }
    for cert_file, key_file in pairs.values():
        certified.jobs["api"] |= {"cert_file": str(cert_file), "key_file": str(key_file)}
        ended, _ = once(certified)
        assert (ended["outcome"], ended["error"], ended["http_status"]) == ("rejected_permanent", "invalid_client", 401)
    certified.jobs["api"] |= {"cert_file": files[0], "key_file": files[1]}
    assert once(certified)[0]["outcome"] == "rotated"
    assert oidc_tls.stats().of(CLIENT).outcomes == {"401": 3, "200": 1}


@pytest.mark.fault("F45")
def test_a_server_that_is_not_trusted_gets_nothing(certified, oidc_tls, measured):
    del certified.jobs["api"]["ca_file"]

    ended, why = once(certified)

    assert (ended["outcome"], ended["error"]) == ("rejected_transient", "transport")
    assert why == "transport: TLS: certificate not trusted"
    measured(f"a server that is not trusted counted {oidc_tls.stats().total} requests")
    assert oidc_tls.stats().total == 0


def test_a_file_that_can_not_be_used_is_told_in_one_line_and_harms_no_other_job(certified, oidc_tls, oauth2):
    certified.add("other", oauth2)
    key_file = certified.folder / "open.key"
    key_file.write_bytes(Path(certified.jobs["api"]["key_file"]).read_bytes())
    key_file.chmod(0o644)
    certified.jobs["api"]["key_file"] = str(key_file)
    certified.write()

    checked = certified.run("check", "--live")
    done = certified.run("once", "--json")
    ends = {line["job"]: line["outcome"] for line in map(json.loads, done.stdout.splitlines())}
    whys = [line["why"] for line in map(json.loads, done.stderr.splitlines()) if "why" in line]

    assert (checked.returncode, len(checked.stderr.splitlines())) == (1, 1)
    assert "[jobs.api] token_url: key_file" in checked.stderr
    assert ends == {"api": "store_failed", "other": "rotated"}
    assert whys == [f"key_file {key_file}: it holds a private key and others may use it (mode 0644); run: chmod 0600"]
    assert oidc_tls.stats().total == 0


def renew(site, authority, name):
    """Replace the job's certificate and key by those of another name, one after the other, as renewals do."""
    for key, file in zip(("cert_file", "key_file"), authority.issue(name), strict=True):
        file.replace(site.jobs["api"][key])


@pytest.mark.fault("F46")
def test_a_renewed_certificate_is_used_without_a_restart(certified, oidc_tls, measured):
    oidc_tls.add_client(CLIENT, auth="tls", subject="CN=refresher", ttl=12)
    with certified.daemon() as daemon:
        daemon.wait_for("rotated")
        oidc_tls.add_client(CLIENT, auth="tls", subject="CN=renewed", ttl=12)
        renew(certified, oidc_tls.authority, "renewed")
        daemon.wait_for("rotated")
        assert daemon.stop() == 0

    measured(f"one process, the certificate renewed between two requests: {oidc_tls.stats().of(CLIENT).outcomes}")
    assert oidc_tls.stats().of(CLIENT).outcomes == {"200": len(daemon.lines("rotated"))}
    assert not daemon.lines(level="error")


def test_a_renewed_certificate_opens_the_latch_of_a_refused_one(certified, oidc_tls):
    renew(certified, oidc_tls.authority, "somebody-else")
    certified.write()
    ends = []
    for name in ("somebody-else", "refresher"):
        ends += [json.loads(certified.run("once", "--json").stdout)["outcome"] for _ in range(2)]
        renew(certified, oidc_tls.authority, name)
    ends.append(json.loads(certified.run("once", "--json").stdout)["outcome"])

    assert ends == ["rejected_permanent", "halted", "rejected_permanent", "halted", "rotated"]


def test_a_proxy_is_gone_through_and_sees_nothing_but_the_host(certified, oidc_tls, between):
    secret = certified.canaries.plant("client secret")
    oidc_tls.add_client("posting", secret=secret, auth="post")
    job = {"client_auth": "post", "client_id": "posting", "client_secret": certified.secret("post", secret)}
    certified.jobs["api"] |= job | {"proxy": between.url}

    ended, _ = once(certified)

    assert ended["outcome"] == "rotated"
    assert oidc_tls.stats().of("posting").outcomes == {"200": 1}
    assert [head.split()[:2] for head in between.heads] == [
        [b"CONNECT", oidc_tls.url.removeprefix("https://").encode()]
    ]
    certified.canaries.check(b"".join(between.heads), bytes(between.carried))


def test_a_proxy_that_refuses_is_told(certified, oidc_tls, between):
    between.answer = b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"
    certified.jobs["api"]["proxy"] = between.url

    ended, why = once(certified)

    assert (ended["outcome"], ended["error"]) == ("rejected_transient", "transport")
    assert why == "transport: the proxy refuses to connect there"
    assert oidc_tls.stats().total == 0

"""First consent against a real authorization server: in a terminal, with a person who fills in its pages."""

import json
import os
import socket
from urllib.parse import quote

import httpx
import pytest

from tests.e2e.person import Person
from tests.e2e.site import RECORD
from tests.e2e.terminal import on_terminal

pytestmark = pytest.mark.e2e
CODE = r"enter this code:\n\n +([A-Z]{4}-[A-Z]{4})\n"
COMPLETE = r"or open both in one: (http://\S+)"
BROWSER = r"in a browser on this machine:\n\n(http://\S+)"
CTRL_C = b"\x03"


@pytest.fixture
def person(oidc_consent):
    with Person(oidc_consent) as one:
        yield one


@pytest.fixture(params=["device_code", "authorization_code"])
def flow(request):
    return request.param


@pytest.fixture
def crm(site, oidc_consent):
    """A job that has no refresh token yet, at a server that asks people; whatever it sends must not be seen."""

    def make(flow: str, **more):
        endpoint = {"device_code": "/device/auth", "authorization_code": "/auth"}[flow]
        consent = {"flow": flow, "url": oidc_consent.url + endpoint}
        site.add("crm", oidc_consent, grant="refresh_token", authorize=consent, **more)
        site.write()

    yield make
    sent = oidc_consent.call("GET", "/_secrets")[1]
    site.canaries.planted |= {f"{name} {n}": text for name, texts in sent.items() for n, text in enumerate(texts)}
    site.canaries.planted["user's password"] = oidc_consent.password
    if "authorization_code" in oidc_consent.stats().grants:
        assert all(sent[name] for name in ("code", "code_verifier")), "there is something to look for"


def consent(terminal, person, **how):
    """Do what the terminal says, whichever way it is."""
    (url,) = filter(None, terminal.wait_for(f"{COMPLETE}|{BROWSER}").groups())
    return person.open(url, **how)


def record(site):
    return site.read(f"{RECORD}crm")


@pytest.mark.parametrize("client_auth", ["basic", "none"])
def test_a_consent_ends_with_a_token_that_works_and_a_refresh_token_that_was_proven(
    site, oidc_consent, crm, person, flow, client_auth
):
    crm(flow, client_auth=client_auth)
    if client_auth == "none":
        del site.jobs["crm"]["client_secret"]
        site.write()
        oidc_consent.add_client("crm-client", secret="", auth="none")

    with on_terminal(site, "authorize", "crm") as terminal:
        page = consent(terminal, person)
        assert terminal.end() == 0, terminal.text

    said = "You can close this window" if flow == "authorization_code" else "Done"
    assert said in page.text
    assert "crm: the refresh token from consent works, and is kept in" in terminal.text
    assert oidc_consent.accepts(site.token("crm")["access_token"])
    assert record(site)["generation"] == "2", "the consent's, and the one that its proof brought"
    assert oidc_consent.stats().of("crm-client").grants["refresh_token"] == 1

    (attempt,) = site.run("history", "crm", "--json").stdout.splitlines()
    assert json.loads(attempt)["outcome"] == "rotated"
    assert json.loads(site.run("once", "--json").stdout)["outcome"] == "fresh"
    assert json.loads(site.run("once", "--force", "--json").stdout)["outcome"] == "rotated"
    assert record(site)["generation"] == "3"
    assert oidc_consent.stats().refresh_reused == 0


def test_an_issuer_leads_to_the_endpoints(site, oidc_consent, crm, person, flow):
    crm(flow, issuer=oidc_consent.url)
    del site.jobs["crm"]["authorize"]["url"], site.jobs["crm"]["token_url"]
    site.write()
    with on_terminal(site, "authorize", "crm") as terminal:
        consent(terminal, person)
        assert terminal.end() == 0, terminal.text


def test_a_code_may_be_typed_in_by_hand(site, crm, person):
    crm("device_code")
    with on_terminal(site, "authorize", "crm") as terminal:
        address = terminal.wait_for(r"on any device:\n\n +(http://\S+)\n").group(1)
        person.open(f"{address}?user_code={terminal.wait_for(CODE).group(1)}")
        assert terminal.end() == 0, terminal.text


def test_a_consent_that_is_denied_is_one_line_and_changes_nothing(site, crm, person, flow):
    crm(flow)
    with on_terminal(site, "authorize", "crm") as terminal:
        consent(terminal, person, deny=True)
        assert terminal.end() == 1
    assert terminal.text.splitlines()[-1] == "crm: no consent: access_denied: consent was denied at the provider"
    assert (record(site), site.token("crm")) == (None, None)


def test_a_device_code_that_nobody_types_in_expires(site, oidc_consent, crm):
    crm("device_code")
    client = {"secret": site.canaries.planted["crm client secret"], "scope": oidc_consent.scope, "auth": "basic"}
    oidc_consent.control(clients={"crm-client": client | {"device_ttl": 3}})
    done = site.run("authorize", "crm")
    assert done.returncode == 1
    assert done.stderr == "crm: no consent: expired_token: nobody consented in time\n"
    assert record(site) is None


def test_an_answer_with_a_wrong_state_is_nothing_and_the_right_one_is_taken_once(site, oidc_consent, crm, person):
    crm("authorization_code")
    with on_terminal(site, "authorize", "crm") as terminal:
        back = consent(terminal, person, until="/callback")
        assert "iss=" in back
        for wrong in (back.replace("state=", "state=x"), back.split("state=")[0]):
            stray = httpx.get(wrong, trust_env=False)
            assert (stray.status_code, stray.headers["connection"]) == (404, "close")
        assert oidc_consent.stats().of("crm-client").total == 0, "nothing was made of them"
        assert httpx.get(back, trust_env=False).status_code == 200
        assert terminal.end() == 0, terminal.text
    with pytest.raises(httpx.ConnectError):
        httpx.get(back, trust_env=False)
    assert oidc_consent.stats().of("crm-client").grants["authorization_code"] == 1


def test_a_code_that_somebody_else_has_used_is_told_and_changes_nothing(site, oidc_consent, crm, person):
    crm("authorization_code")
    with on_terminal(site, "authorize", "crm") as terminal:
        back = httpx.URL(consent(terminal, person, until="/callback"))
        oidc_consent.call("POST", f"/_spend?code={back.params['code']}")
        httpx.get(back, trust_env=False)
        assert terminal.end() == 1
    assert "crm: no consent: invalid_grant: the code was used before" in terminal.text.splitlines()[-1]
    assert record(site) is None


def test_ctrl_c_ends_the_wait_and_leaves_nothing_behind(site, crm, flow):
    crm(flow)
    with on_terminal(site, "authorize", "crm") as terminal:
        terminal.wait_for("Ctrl-C ends it")
        port = terminal.text.partition("ssh -L ")[2].partition(":")[0]
        terminal.press(CTRL_C)
        assert terminal.end() == 130
    assert "Traceback" not in terminal.text
    assert (record(site), site.token("crm")) == (None, None)
    if flow == "authorization_code":
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(port))) != 0


def test_consent_without_offline_access_says_what_to_ask_for(site, crm, person, flow):
    crm(flow, scope="openid read")
    with on_terminal(site, "authorize", "crm") as terminal:
        consent(terminal, person)
        assert terminal.end() == 1
    assert "no refresh token, nothing was stored" in terminal.text
    assert "offline_access" in terminal.text
    assert record(site) is None


@pytest.fixture
def consented(site, crm, person):
    """The refresh token of a job that a person consented to."""
    crm("device_code")
    with on_terminal(site, "authorize", "crm") as terminal:
        consent(terminal, person)
        assert terminal.end() == 0, terminal.text
    return record(site)["refresh_token"]


def test_one_that_works_is_replaced_by_force_alone(site, person, consented):
    site.canaries.planted["first"] = consented
    done = site.run("authorize", "crm")
    assert done.returncode == 1
    assert "works and stays; --force replaces it" in done.stderr
    held = record(site)
    assert held["refresh_token"] != consented, "it was tried by its use, and what that brought is kept"

    with on_terminal(site, "authorize", "crm", "--force") as terminal:
        consent(terminal, person)
        assert terminal.end() == 0, terminal.text
    assert int(record(site)["generation"]) == int(held["generation"]) + 2


def test_one_that_was_revoked_is_replaced_without_ceremony(site, oidc_consent, person, consented):
    revoke(site, oidc_consent, consented)
    with on_terminal(site, "authorize", "crm") as terminal:
        terminal.wait_for("is refused; a new consent is needed")
        consent(terminal, person)
        assert terminal.end() == 0, terminal.text
    assert oidc_consent.accepts(site.token("crm")["access_token"])


def test_one_from_elsewhere_is_proven_then_kept(site, oidc_consent, consented):
    before = record(site)
    wipe(site)
    done = site.run("authorize", "crm", "--import", site.secret("elsewhere", consented))
    assert done.returncode == 0, done.stderr
    assert "elsewhere.secret works, and is kept in" in done.stdout
    assert record(site)["refresh_token"] not in (consented, None)
    assert oidc_consent.accepts(site.token("crm")["access_token"])
    assert before["refresh_token"] == consented


def test_one_from_elsewhere_that_is_refused_is_not_kept(site, consented):
    done = site.run("authorize", "crm", "--force", "--import", site.secret("elsewhere", "not-a-refresh-token-at-all"))
    assert done.returncode == 1
    assert "the provider refuses the refresh token from file:" in done.stderr
    assert "stays as it was" in done.stderr
    assert record(site)["refresh_token"] == consented
    assert json.loads(site.run("once", "--force", "--json").stdout)["outcome"] == "rotated", "the old one still works"


def test_a_refresh_token_on_the_command_line_is_refused_and_not_repeated(site, crm):
    crm("device_code")
    done = site.run("authorize", "crm", "--import", site.canaries.plant("literal"))
    assert done.returncode == os.EX_USAGE
    assert "a secret stands here in the clear" in done.stderr


def test_a_job_that_lacks_what_it_needs_is_told_so_before_anything_happens(site, smartdocumentor, oidc_consent):
    site.add("plain", smartdocumentor)
    site.add("crm", oidc_consent, grant="refresh_token", refresh_token=site.secret("first", site.canaries.plant("RT")))
    site.write()
    for name, key, words in (
        ("plain", "grant", "client_credentials uses no refresh token"),
        ("crm", "authorize", "is needed to ask for consent"),
    ):
        done = site.run("authorize", name)
        assert (done.returncode, done.stdout) == (os.EX_CONFIG, "")
        assert f"[jobs.{name}] {key}: {words}" in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_one_line(site, crm):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        crm("authorization_code")
        site.jobs["crm"]["authorize"]["redirect_port"] = port
        site.write()
        done = site.run("authorize", "crm")
    assert done.returncode == 1
    assert f"127.0.0.1:{port}: another program listens there; choose another authorize.redirect_port" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.nightly
def test_a_running_daemon_takes_the_new_one_up(site, oidc_consent, person, consented):
    """At its next sweep: within 30 s."""
    revoke(site, oidc_consent, consented)
    site.jobs["crm"]["max_age"] = "1s"
    with site.daemon() as daemon:
        daemon.wait_for("latched", job="crm")
        with on_terminal(site, "authorize", "crm") as terminal:
            consent(terminal, person)
            assert terminal.end() == 0, terminal.text
        daemon.wait_for("recovered", job="crm", within=60)


def revoke(site, provider, refresh_token: str) -> None:
    """Take the consent back at the provider, as its user may (RFC 7009)."""
    proof = ("crm-client", quote(site.canaries.planted["crm client secret"], safe=""))
    url = provider.url + "/token/revocation"
    assert httpx.post(url, data={"token": refresh_token}, auth=proof, trust_env=False).status_code == 200


def wipe(site) -> None:
    """Delete all that is kept of the job."""
    for path in (f"{RECORD}crm", "tokens/crm"):
        site.bao.api("DELETE", f"{site.mount}/metadata/{path}")

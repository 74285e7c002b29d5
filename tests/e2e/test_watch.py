"""`refresher watch` on a reader's host: with a reader's policy and nothing else, against a real OpenBao."""

import json
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest

from refresher import downstream
from refresher.cli import main
from refresher.config import load
from refresher.core import rights
from refresher.core.model import Reference
from refresher.core.published import stamp
from refresher.core.reading import Expected
from refresher.core.settings import Auth, Cluster
from tests.e2e.site import Site

pytestmark = pytest.mark.e2e
SCHEMA = json.loads((Path(__file__).parents[2] / "docs/reference/schemas/watch.json").read_text())
JOB = {
    "provider": "oauth2",
    "token_url": "https://crm.example.com/oauth/token",
    "grant": "client_credentials",
    "client_id": "acme",
    "client_secret": "env:NOT_HERE",
}


@pytest.fixture
def reader(site: Site) -> Site:
    """A site that becomes a reader's: two jobs, and a login by the policy that `refresher policy` prints for one."""
    site.jobs = {name: JOB | {"path": f"tokens/{name}"} for name in ("crm", "erp")}
    site.tables["state"]["dir"] = str(site.folder / "state")
    site.write()
    policy = next(one for one in rights.policies(load(site.config), {}) if one.name == "refresher-read-crm")
    site.bao.api("PUT", f"sys/policies/acl/{site.role}-reader", {"policy": policy.hcl()})
    asked = {"policies": [f"{site.role}-reader"], "no_default_policy": True, "type": "batch", "ttl": "1h"}
    token = site.bao.api("POST", "auth/token/create", asked)["auth"]["client_token"]
    site.tables["vault"]["auth"] = {"method": "token", "token": site.secret("reader", token)}
    site.write()
    return site


def put(site: Site, name: str, left: timedelta, lifetime: timedelta = timedelta(hours=1)) -> None:
    ends = datetime.now(UTC) + left
    data = {"access_token": site.canaries.plant(f"{name} {left}"), "expires_at": stamp(ends)}
    site.bao.api("POST", f"{site.mount}/data/tokens/{name}", {"data": data | {"issued_at": stamp(ends - lifetime)}})


@pytest.mark.parametrize(
    ("minutes", "words", "code", "said"),
    [
        (40, (), 0, "REFRESHER OK - crm: it lives 39m"),
        (7, (), 1, "REFRESHER WARNING - 1 of 1: crm: it lives 6m"),
        (7, ("--reader-lag", "8m"), 2, "REFRESHER CRITICAL - 1 of 1: crm: it lives 6m"),
        (7, ("--warning", "5m"), 0, "REFRESHER OK"),
        (40, ("-w", "50m", "--critical", "45m"), 2, "REFRESHER CRITICAL"),
        (-1, (), 2, "REFRESHER CRITICAL - 1 of 1: crm: it is dead since 1m"),
        (None, (), 2, "REFRESHER CRITICAL - 1 of 1: crm: nothing stands there"),
    ],
)
def test_a_readers_rights_are_enough(reader, minutes, words, code, said):
    if minutes is not None:
        put(reader, "crm", timedelta(minutes=minutes))
    done = reader.run("watch", "crm", *words)
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.startswith(said)
    assert len(done.stdout.splitlines()) == 1
    assert not (reader.folder / "state").exists(), "nothing is kept"


def test_what_a_reader_may_not_read_is_unknown(reader):
    put(reader, "crm", timedelta(minutes=40))
    put(reader, "erp", timedelta(minutes=40))
    done = reader.run("watch")
    assert done.returncode == 3
    assert done.stdout.startswith(
        f"REFRESHER UNKNOWN - 1 of 2: erp: read {reader.mount}/tokens/erp: the policy denies it"
    )
    lines = [json.loads(line) for line in reader.run("watch", "--json").stdout.splitlines()]
    for line in lines:
        jsonschema.validate(line, SCHEMA)
    assert {line["name"]: line["state"] for line in lines} == {"crm": "ok", "erp": "unknown"}


def test_a_host_that_knows_no_job_names_paths(reader):
    """Its file has the table [vault] alone; the mount is found out."""
    put(reader, "crm", timedelta(minutes=40))
    reader.jobs = {}
    reader.write()
    done = reader.run("watch", "--path", f"{reader.mount}/tokens/crm")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"| '{reader.mount}/tokens/crm'=" in done.stdout
    assert reader.run("watch").returncode == 78, "without a path there must be a job"
    for bad in ("eu:secret/x", "/x", "a//b"):
        assert main(["watch", "--path", bad, "--config", str(reader.config)]) == 64
    assert reader.run("watch", "--path", "nowhere/tokens/crm").returncode == 3


def test_no_answer_is_unknown_and_so_is_no_login(reader):
    put(reader, "crm", timedelta(minutes=40))
    login = reader.tables["vault"]["auth"]
    reader.tables["vault"]["auth"] = login | {"token": reader.secret("wrong", "hvs.CANARY")}
    reader.write()
    done = reader.run("watch", "crm")
    assert done.returncode == 3
    assert "CANARY" not in done.stdout + done.stderr
    reader.tables["vault"]["auth"] = login | {"token": f"file:{reader.folder}/nowhere"}
    reader.write()
    assert reader.run("watch", "crm").returncode == 3
    reader.tables["vault"] |= {"auth": login, "address": "http://127.0.0.1:1"}
    reader.write()
    done = reader.run("watch", "crm")
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.startswith("REFRESHER UNKNOWN - 1 of 1: crm: ")


def test_thresholds_that_make_no_sense_are_wrong_usage(reader):
    for words in (("-w", "5m", "--critical", "6m"), ("-w", "soon"), ("--reader-lag", "x"), ("nobody",)):
        assert main(["watch", *words, "--config", str(reader.config)]) == 64


async def test_a_vault_that_is_silent_is_not_waited_for(monkeypatch):
    """A plugin that is killed for taking too long says nothing at all."""
    monkeypatch.setattr(downstream, "DEADLINE", timedelta(seconds=0.5))
    monkeypatch.setenv("READER_TOKEN", "hvs.reader")
    auth = Auth(method="token", token=Reference(kind="env", target="READER_TOKEN"))
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes a connection, and nobody reads from it
        clusters = {"": Cluster(address=f"http://127.0.0.1:{silent.getsockname()[1]}", auth=auth)}
        (found,) = await downstream.read(clusters, [downstream.Path(name="crm", target="x/y", expected=Expected())])
    assert (found.state, found.path, found.why) == ("unknown", "x/y", "no answer within 0 s")

"""`refresher bootstrap`: from an administrator's token to a daemon that rotates; again is harmless."""

import json
from datetime import timedelta

import pytest

from refresher import bootstrap
from refresher.bootstrap import BootstrapError, Wish
from refresher.config import load
from tests.e2e.site import Site

pytestmark = pytest.mark.e2e

ROOT_TOKEN = "file:{folder}/admin.secret"


@pytest.fixture
def fresh(site: Site, semansys) -> Site:
    """A site whose mount is not there yet, with one irreplaceable job and one that is not."""
    site.mount = f"{site.mount}-fresh"
    site.tables["instance"] = {"name": site.mount}
    site.tables["vault"]["mount"] = site.mount
    site.tables["vault"]["auth"] |= {"role_id": f"role-of-{site.mount}", "mount": f"approle-{site.mount}"}
    site.secret("admin", site.bao.root_token.reveal())
    site.add("crm", semansys, ttl=60)
    site.jobs["crm"]["path"] = "tokens/crm"
    site.write()
    return site


def run(site: Site, *words: str, **how):
    return site.run("bootstrap", "--token", ROOT_TOKEN.format(folder=site.folder), *words, **how)


def metadata(site: Site, path: str) -> dict[str, object]:
    return site.bao.api("GET", f"{site.mount}/metadata/{path}")["data"]


def install(site: Site, credential: str) -> None:
    site.canaries.planted["credential"] = credential
    (site.folder / "vault.secret").write_text(credential)


def test_from_nothing_to_a_rotation_and_again(fresh):
    refused = run(fresh)
    assert refused.returncode == 1
    assert f"not there: {fresh.mount}, auth/approle-{fresh.mount}; --make-mounts makes them" in refused.stderr

    done = run(fresh, "--make-mounts", "--owner", "team-crm")
    assert done.returncode == 0, done.stderr
    fresh.outputs.remove(done.stdout)  # the one place that shows it
    install(fresh, done.stdout.strip())
    assert f"file:{fresh.folder}/vault.secret" in done.stderr
    known = metadata(fresh, "tokens/crm")
    assert known["max_versions"] == 3
    instance = f"refresher/{fresh.mount}"
    marks = {"job": "crm", "managed_by": instance, "provider": "semansys", "owner": "team-crm"}
    assert known["custom_metadata"] == marks

    ended = fresh.run("once", "--json")
    assert ended.returncode == 0, ended.stderr
    assert fresh.token("crm")["job"] == "crm"
    assert "[vault] auth" not in fresh.run("check", "--live").stdout

    again = run(fresh, "--json")
    told = json.loads(again.stdout)
    assert {step.rpartition(": ")[2] for step in told["steps"]} == {"as it should be"}
    assert (told["credential"], told["kind"], told["warnings"]) == (None, None, [])


def test_what_others_set_is_kept(fresh):
    fresh.outputs.remove(run(fresh, "--make-mounts").stdout)
    path = f"{fresh.mount}/metadata/tokens/crm"
    theirs = {"custom_metadata": {"cost-centre": "42", "job": "crm"}, "delete_version_after": "90m", "max_versions": 9}
    fresh.bao.api("POST", path, {**theirs, "cas_required": True})
    role = f"auth/approle-{fresh.mount}/role/refresher-{fresh.mount}"
    fresh.bao.api("POST", role, {"token_policies": ["theirs"], "token_bound_cidrs": ["127.0.0.1/32"]})

    assert run(fresh).returncode == 0

    known = metadata(fresh, "tokens/crm")
    assert (known["max_versions"], known["delete_version_after"], known["cas_required"]) == (3, "1h30m0s", True)
    assert known["custom_metadata"]["cost-centre"] == "42"
    assert known["custom_metadata"]["managed_by"] == f"refresher/{fresh.mount}"
    data = fresh.bao.api("GET", role)["data"]
    assert data["token_policies"] == [f"refresher-{fresh.mount}"]
    assert data["token_bound_cidrs"] in (["127.0.0.1/32"], ["127.0.0.1"])


def test_a_wrapping_token_where_jobs_toml_says_so(fresh):
    auth = fresh.tables["vault"]["auth"]
    auth["wrapped_secret_id"] = auth.pop("secret_id")
    fresh.write()
    done = run(fresh, "--make-mounts", "--wrap", "5m")
    fresh.outputs.remove(done.stdout)
    install(fresh, done.stdout.strip())

    assert fresh.run("once").returncode == 0
    assert fresh.run("once").returncode == 0  # what it held was kept

    (fresh.folder / "vault.secret").unlink()
    assert fresh.run("once").returncode == 0


def test_the_token_comes_by_standard_input_and_never_as_an_argument(fresh):
    token = fresh.bao.root_token.reveal()
    refused = fresh.run("bootstrap", "--token", token)
    assert refused.returncode == 64
    assert token not in refused.stderr
    done = fresh.run("bootstrap", "--make-mounts", "--json", input=f"{token}\n")
    assert json.loads(done.stdout)["kind"] == "secret_id"
    assert fresh.run("bootstrap", input="\n").returncode == 64
    bogus = fresh.run("bootstrap", input="hvs.bogus\n")
    assert (bogus.returncode, "the policy denies it" in bogus.stderr) == (1, True)


@pytest.fixture
def ready(fresh) -> Site:
    """The same after a bootstrap."""
    fresh.outputs.remove(run(fresh, "--make-mounts").stdout)
    return fresh


async def ended(site: Site, **wish: object) -> bootstrap.Ended:
    return await bootstrap.bootstrap(load(site.config), site.bao.root_token, Wish(**wish))


async def test_a_strangers_secret_is_not_marked_as_ours(ready):
    ready.bao.api("DELETE", f"{ready.mount}/metadata/tokens/crm")
    ready.bao.api("POST", f"{ready.mount}/data/tokens/crm", {"data": {"access_token": "a stranger's"}})

    (warning,) = (await ended(ready)).warnings

    assert "holds what refresher did not write" in warning
    assert not metadata(ready, "tokens/crm")["custom_metadata"]
    ready.jobs["crm"]["adopt"] = True
    ready.write()
    assert (await ended(ready)).warnings == []
    assert metadata(ready, "tokens/crm")["custom_metadata"]["job"] == "crm"


async def test_versions_are_deleted_only_after_their_tokens_end(ready):
    job = {"provider": "oauth2", "token_url": "http://127.0.0.1:1/t", "grant": "client_credentials"}
    ready.jobs["plain"] = {**job, "client_auth": "none", "client_id": "x", "path": "tokens/plain"}
    for span, lifetime, after, word in (
        (timedelta(days=1), None, "0s", "is not known yet"),
        (timedelta(days=1), "2d", "0s", "live 172800 s"),
        (timedelta(days=3), "2d", "72h0m0s", ""),
    ):
        ready.jobs["plain"] |= {"lifetime": lifetime} if lifetime else {}
        ready.write()
        warnings = " ".join((await ended(ready, delete_after=span)).warnings)
        assert (metadata(ready, "tokens/plain")["delete_version_after"], bool(warnings)) == (after, bool(word))
        assert word in warnings
    assert metadata(ready, f"refresher/{ready.mount}/crm")["delete_version_after"] == "0s"


async def test_a_mount_that_would_delete_state_records_is_refused(ready):
    ready.bao.api("POST", f"{ready.mount}/config", {"delete_version_after": "1h"})
    with pytest.raises(BootstrapError, match="deletes every version after 3600 s"):
        await ended(ready)


async def test_a_path_that_would_delete_a_state_record_is_mended(ready):
    path = f"refresher/{ready.mount}/crm"
    ready.bao.api("POST", f"{ready.mount}/metadata/{path}", {"delete_version_after": "1h"})
    await ended(ready)
    assert metadata(ready, path)["delete_version_after"] == "0s"


async def test_a_role_of_that_name_with_another_role_id_is_left_alone(ready):
    ready.tables["vault"]["auth"]["role_id"] = "another"
    ready.write()
    with pytest.raises(BootstrapError, match=f'write role_id = "role-of-{ready.mount}"'):
        await ended(ready)


async def test_a_second_secret_id_when_asked_for_and_a_method_that_is_not_ours(ready):
    assert (await ended(ready)).credential is None
    assert (await ended(ready, new_secret_id=True)).kind == "secret_id"
    ready.tables["vault"]["auth"] = {"method": "token", "token": ready.secret("t", "hvs.x")}
    ready.write()
    made = await ended(ready)
    assert made.credential is None
    assert made.warnings == [f"method token: give its role the policy refresher-{ready.mount}, without the default one"]


async def test_a_role_whose_secret_ids_are_gone_gets_one(ready):
    path = f"auth/approle-{ready.mount}/role/refresher-{ready.mount}/secret-id"
    known = ready.bao.api("LIST", path)["data"]["keys"]
    for accessor in known:
        ready.bao.api("POST", f"{path}-accessor/destroy", {"secret_id_accessor": accessor})
    assert known
    assert (await ended(ready)).kind == "secret_id"
    assert (await ended(ready)).credential is None, "and once alone"


async def test_kv_v1_has_no_metadata(fresh):
    fresh.bao.mount(fresh.mount, version=1)
    steps = (await ended(fresh, make_mounts=True)).steps
    assert not [step for step in steps if "metadata" in step]

"""One token for several destinations on two OpenBao clusters: what one of them lacks, the others have on time."""

import time

import pytest

from refresher.config import load
from refresher.core import rights
from refresher.demo.openbao import OpenBao
from tests.e2e.site import Site

pytestmark = pytest.mark.e2e
SECOND_GOAL = {"path": "tokens/crm-copy", "fields": {"header": "Bearer {access_token}", "ttl": "300s"}}
FAR_GOAL = {"cluster": "far", "path": "tokens/crm"}


def fan_out(site: Site, provider, far: OpenBao, **more) -> None:
    """Add a job with two paths on the site's own cluster and a third on `far`."""
    role_id, secret_id = far.approle("far", "# no job yet")
    auth = {"method": "approle", "role_id": role_id, "secret_id": site.secret("far", secret_id.reveal())}
    site.tables["clusters.far"] = {"address": far.address, "mount": "secret", "auth": auth}
    site.add("crm", provider, **more)
    del site.jobs["crm"]["path"]
    site.jobs["crm"]["destinations"] = [{"path": "tokens/crm"}, SECOND_GOAL, FAR_GOAL]
    site.write()
    policy = next(one for one in rights.policies(load(site.config), {}) if one.cluster == "far")
    far.api("PUT", "sys/policies/acl/far", {"policy": policy.hcl()})


def at(bao: OpenBao, path: str) -> dict[str, str]:
    return bao.api("GET", path)["data"]["data"]


@pytest.mark.fault("F7")
@pytest.mark.parametrize("away_s", [3, pytest.param(60, marks=pytest.mark.nightly)])
def test_one_token_for_three_destinations_of_which_one_is_away(site, oauth2, openbao_raft, measured, away_s):
    fan_out(site, oauth2, openbao_raft, ttl=3600)
    openbao_raft.stop()
    with site.daemon() as daemon:
        site.jobs["crm"]["path"] = "tokens/crm"  # what the site looks at
        daemon.wait_for("store_failed", cluster="far")
        rotated = daemon.wait_for("rotated", job="crm")
        on_time = [site.read("tokens/crm"), site.read("tokens/crm-copy")]
        assert rotated["path"] == [f"{site.mount}/tokens/crm", f"{site.mount}/tokens/crm-copy"]
        assert on_time[1]["header"] == f"Bearer {on_time[0]['access_token']}", "one token, under another name"
        time.sleep(away_s)  # the outage itself
        openbao_raft.start()
        began = time.monotonic()
        healed = daemon.wait_for("rotated", job="crm", within=60)
        measured(
            f"away {away_s} s: the third destination had the token {time.monotonic() - began:.1f} s after its return"
        )
        assert healed["reason"] == "behind"
        assert at(openbao_raft, "secret/data/tokens/crm") == on_time[0], "the same token"
        assert daemon.stop() == 0
    assert sum(oauth2.stats().of("crm-client").outcomes.values()) == 1, "one request to the provider in all"

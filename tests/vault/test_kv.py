"""Reads and writes against a script of answers: the ends that a healthy server does not show."""

from datetime import timedelta

import pytest

from refresher.core.errors import (
    StoreAmbiguousError,
    StoreConflictError,
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
    TransportError,
)
from refresher.core.model import Absent, HttpRequest, Location, Written
from refresher.core.secret import Secret
from refresher.vault import Vault, connect
from tests.fakes.clock import VirtualClock
from tests.fakes.http import ScriptedHttp, answer, lost
from tests.vault.builders import (
    GIVEN,
    Local,
    a_cluster,
    header,
    indexed,
    logged_in,
    looked_up,
    mounted,
    payload,
    standing,
    written,
)

PLACE = Location(mount="secret", path="tokens/crm")
OURS = {"access_token": Secret("AT-CANARY"), "job": Secret("crm")}
PLAIN = {"access_token": "AT-CANARY", "job": "crm"}
POST, GET = "POST /v1/secret/data/tokens/crm", "GET /v1/secret/data/tokens/crm"
MOUNT = "GET /v1/sys/internal/ui/mounts/secret"
CAS = answer(400, {"errors": ["check-and-set parameter did not match the current version"]})
DENIED = answer(403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]})
DEAD = answer(403, {"errors": ["permission denied"]})
NOTHING = answer(404, {"errors": []})
SEALED = answer(503, {"errors": ["Vault is sealed"]})
BROKEN = answer(500, {"errors": ["internal error"]})
BEHIND = answer(429, {"errors": []}, retry_after="1")
OLD_MOUNT = answer(404, {"warnings": ["Invalid path for a versioned K/V secrets engine."]})


class Client:
    """A client that is logged in and knows its mount, over a script of what comes then."""

    def __init__(self, *steps: object, version: str | None = "2", **cluster: object) -> None:
        self.http = ScriptedHttp(looked_up(ttl=0), mounted(version=version), *steps)
        self.clock = ImpatientClock()
        self.vault: Vault = connect(a_cluster(GIVEN, **cluster), self.http, self.clock, Local("hvs.CANARY"))

    @property
    def asked(self) -> list[str]:
        return self.http.asked[2:]

    @property
    def requests(self) -> list[HttpRequest]:
        return self.http.requests[2:]

    async def write(self, cas: int | None = 0) -> Written:
        return await self.vault.write(PLACE, OURS, cas=cas)

    async def fails(self, cas: int | None = 0) -> StoreError:
        with pytest.raises(StoreError) as caught:
            await self.write(cas)
        assert "CANARY" not in str(caught.value)
        return caught.value


class ImpatientClock(VirtualClock):
    """Its sleepers need not wait for anybody to advance it."""

    async def sleep(self, span: timedelta) -> None:
        self._pass(self._monotonic + span.total_seconds())


async def test_a_write_carries_its_data_and_cas():
    one = Client(written(8), namespace="ops")

    assert await one.write(cas=7) == Written(version=8)

    (request,) = one.requests
    assert request.url == "https://vault.example.com:8200/v1/secret/data/tokens/crm"
    assert payload(request) == {"options": {"cas": 7}, "data": PLAIN}
    sent = {name: header(request, name) for name in ("x-vault-token", "x-vault-namespace", "x-vault-index")}
    assert sent == {"x-vault-token": "hvs.CANARY", "x-vault-namespace": "ops", "x-vault-index": None}
    assert "CANARY" not in repr(request)


async def test_the_mount_is_asked_for_once():
    one = Client(NOTHING, written(1), CAS)
    await one.vault.read(PLACE)
    await one.write()
    await one.vault.prove(PLACE)

    assert one.http.asked[1] == MOUNT
    assert one.asked == [GET, POST, POST]


@pytest.mark.fault("F12", "F13")
@pytest.mark.parametrize(
    "unclear",
    [
        lost(sent=True),
        TransportError("deadline", "no whole reply within 5 s", sent=True),
        BROKEN,
        answer(502, []),
        answer(502, {"errors": [{"a": 1}]}),
        answer(504, b"<html>"),
        answer(200, b"<html>"),
        answer(200),
        answer(200, {"data": None, "wrap_info": {"token": "hvs.CANARY"}}),
    ],
)
@pytest.mark.answer("V9", "V34", "V49")
async def test_an_ambiguous_end_is_repeated_identically(unclear):
    one = Client(unclear, written(1))

    assert await one.write() == Written(version=1)

    first, second = one.requests
    assert (first.url, first.body) == (second.url, second.body)


@pytest.mark.fault("F23")
async def test_a_mismatch_after_an_ambiguous_end_is_looked_at_until_the_node_has_caught_up():
    """The mismatch says that another version stands there: who still shows the old one is behind."""
    one = Client(BROKEN, CAS, NOTHING, NOTHING, standing(1, PLAIN))

    assert await one.write() == Written(version=1)
    assert one.asked == [POST, POST, GET, GET, GET]


async def test_a_node_that_never_catches_up_leaves_the_mismatch_a_conflict():
    one = Client(CAS, *[standing(4, {"access_token": "old"})] * 3)

    assert (await one.fails(cas=4)).code == "cas"
    assert one.asked == [POST, GET, GET, GET]


def indexes(requests: list[HttpRequest]) -> list[tuple[str | None, str | None]]:
    return [(header(one, "x-vault-index"), header(one, "x-vault-inconsistent")) for one in requests]


@pytest.mark.answer("V5")
async def test_who_asks_about_a_place_sees_what_was_told_of_it_before():
    one = Client(
        indexed(written(1), "i-1"), indexed(standing(1, PLAIN), "i-2"), standing(1, PLAIN), written(1), CAS, written(2)
    )
    await one.write()
    await one.vault.read(PLACE)
    await one.vault.read(PLACE)
    await one.vault.write(Location(mount="secret", path="tokens/erp"), OURS, cas=0)
    await one.vault.prove(PLACE)
    await one.write(cas=1)

    assert [index for index, _ in indexes(one.requests)] == [None, "i-1", "i-2", None, "i-2", "i-2"]


async def test_a_login_is_seen_by_whoever_is_asked_next():
    http = ScriptedHttp(indexed(logged_in(), "i-login"), mounted(), NOTHING, indexed(written(1), "i-1"), NOTHING)
    vault = connect(a_cluster(), http, VirtualClock(), Local())
    await vault.read(PLACE)
    await vault.write(PLACE, OURS, cas=0)
    await vault.read(PLACE)

    assert [index for index, _ in indexes(http.requests)] == [None, "i-login", "i-login", "i-login", "i-1"]


@pytest.mark.answer("V29")
async def test_a_standby_of_openbao_that_is_behind_is_asked_to_forward():
    one = Client(indexed(written(1), "i-1"), BEHIND, standing(1, PLAIN), BEHIND, written(2))
    await one.write()

    assert (await one.vault.read(PLACE)).version == 1
    assert (await one.write(cas=1)).version == 2

    forward = "forward-active-node"
    assert indexes(one.requests[1:]) == [("i-1", None), ("i-1", forward)] * 2
    assert one.clock.monotonic() == 0


@pytest.mark.answer("V29")
async def test_a_standby_of_hashicorps_that_is_behind_is_asked_again_and_never_to_forward():
    """There a request to forward is answered 400, unless an administrator allowed it."""
    one = Client(indexed(written(1), "i-1"), answer(412, {"errors": []}), standing(1, PLAIN))
    await one.write()

    assert (await one.vault.read(PLACE)).version == 1
    assert indexes(one.requests[1:]) == [("i-1", None)] * 2
    assert one.clock.monotonic() == 0.25


async def test_a_standby_that_stays_behind_is_away():
    one = Client(indexed(written(1), "i-1"), *[answer(412, {"errors": []})] * 4)
    await one.write()

    error = await one.fails(cas=1)

    assert (type(error), error.code) == (StoreUnavailableError, "index")


@pytest.mark.parametrize("index", ["\u00e9", "a\tb", "x" * 4097])
async def test_an_index_that_no_header_takes_is_not_sent_on(index):
    one = Client(indexed(written(1), index), NOTHING)
    await one.write()
    await one.vault.read(PLACE)

    assert indexes(one.requests) == [(None, None)] * 2


async def test_a_quota_is_no_node_that_is_behind():
    one = Client(indexed(written(1), "i-1"), answer(429, {"errors": ["rate limit quota exceeded"]}))
    await one.write()

    assert (await one.fails(cas=1)).code == "quota"


async def test_a_mismatch_with_our_content_is_done_whenever_it_comes():
    assert await Client(CAS, standing(5, PLAIN)).write(cas=4) == Written(version=5)


@pytest.mark.parametrize(
    "there",
    [
        standing(5, {"access_token": "other", "job": "crm"}),
        standing(5, PLAIN | {"more": "x"}),
        standing(5, {}),
        answer(404, {"data": {"data": None, "metadata": {"version": 5}}}),
        NOTHING,
    ],
)
async def test_a_mismatch_with_other_content_is_a_conflict(there):
    error = await Client(CAS, there).fails(cas=4)

    assert (type(error), error.code, error.status) == (StoreConflictError, "cas", 400)


@pytest.mark.parametrize(("unseen", "code"), [(SEALED, "sealed"), (lost(), "transport"), (DENIED, "denied")])
async def test_a_mismatch_that_cannot_be_looked_at_is_ambiguous(unseen, code):
    lookups = [looked_up()] if unseen is DENIED else []

    error = await Client(CAS, unseen, *lookups).fails()

    assert (type(error), error.code) == (StoreAmbiguousError, code)


async def test_an_end_that_stays_ambiguous_is_looked_at_and_raised():
    one = Client(BROKEN, BROKEN, BROKEN, NOTHING)

    error = await one.fails()

    assert (type(error), error.code, error.status) == (StoreAmbiguousError, "unavailable", 500)
    assert one.asked == [POST, POST, POST, GET]
    assert one.clock.monotonic() == 1.25


async def test_an_end_that_stays_ambiguous_but_stands_there_is_done():
    assert await Client(BROKEN, BROKEN, BROKEN, standing(1, PLAIN)).write() == Written(version=1)


async def test_a_vault_that_goes_away_after_an_ambiguous_end_leaves_it_ambiguous():
    away = lost("connection refused", sent=False)
    one = Client(lost(), away, away, SEALED)

    error = await one.fails()

    assert (type(error), error.code) == (StoreAmbiguousError, "sealed")
    assert one.asked == [POST, POST, POST, GET]


async def test_a_vault_that_comes_back_after_an_ambiguous_end_is_written_to():
    assert await Client(lost(), lost("connection refused", sent=False), written(1)).write() == Written(version=1)


async def test_no_further_try_is_begun_late():
    one = Client()

    def slow(_request: HttpRequest) -> None:
        one.clock._pass(one.clock.monotonic() + 5)
        raise lost()

    one.http.steps += [slow, slow, NOTHING]

    assert isinstance(await one.fails(), StoreAmbiguousError)
    assert one.asked == [POST, POST, GET]


@pytest.mark.parametrize(
    ("reply", "kind", "code", "retry_after"),
    [
        (lost("connection refused", sent=False), StoreUnavailableError, "transport", None),
        (SEALED, StoreUnavailableError, "sealed", None),
        (answer(307, location="http://169.254.169.254/"), StoreUnavailableError, "standby", None),
        (answer(429, {"errors": ["quota"]}, retry_after="59"), StoreUnavailableError, "quota", 59.0),
        (answer(413), StoreRefusedError, "too_large", None),
        (answer(400, {"errors": ["no data provided"]}), StoreRefusedError, "request", None),
    ],
)
async def test_a_clear_end_is_not_repeated(reply, kind, code, retry_after):
    one = Client(reply)

    error = await one.fails()

    assert (type(error), error.code, error.retry_after) == (kind, code, retry_after)
    assert one.asked == [POST]


async def test_a_403_by_a_dead_token_is_repeated_with_a_new_one():
    one = Client(DEAD, DEAD, looked_up(ttl=0), written(1))

    assert await one.write() == Written(version=1)
    assert one.asked == [POST, *["GET /v1/auth/token/lookup-self"] * 2, POST]


async def test_a_403_by_a_live_token_is_a_denial():
    one = Client(DENIED, looked_up())

    error = await one.fails()

    assert (type(error), error.code, str(error)) == (
        StoreRefusedError,
        "denied",
        "write secret/tokens/crm: the policy denies it (HTTP 403)",
    )


async def test_a_second_403_is_a_denial():
    one = Client(DEAD, DEAD, looked_up(ttl=0), DENIED)

    assert (await one.fails()).code == "denied"
    assert one.asked[-1] == POST


async def test_a_mount_that_became_v1_is_found_out_by_the_204():
    one = Client(answer(204), mounted(version="1"))

    assert (await one.fails()).code == "mount_version"
    assert (await one.fails()).code == "mount_version"
    assert one.asked == [POST, MOUNT]


async def test_a_mount_that_became_v2_is_found_out_by_the_warning():
    one = Client(OLD_MOUNT, mounted(version="2"), standing(3, PLAIN), version="1")

    found = await one.vault.read(PLACE)

    assert found.version == 3
    assert one.asked == ["GET /v1/secret/tokens/crm", MOUNT, GET]


async def test_a_write_to_a_mount_that_became_v2_says_look_again():
    one = Client(OLD_MOUNT, mounted(version="2"), version="1")

    assert (await one.fails(cas=None)).code == "mount_version"
    assert (await one.fails(cas=None)).code == "mount_version"


async def test_a_read_that_stays_contradictory_ends():
    with pytest.raises(StoreConflictError):
        await Client(OLD_MOUNT, mounted(version="1"), OLD_MOUNT, version="1").vault.read(PLACE)


V1_POST, V1_GET = "POST /v1/secret/tokens/crm", "GET /v1/secret/tokens/crm"


@pytest.mark.parametrize("version", ["1", None])
async def test_a_write_of_v1_is_done_when_it_reads_back(version):
    one = Client(answer(204), answer(200, {"data": PLAIN}), version=version)

    assert await one.write(cas=None) == Written(version=None)
    assert one.asked == [V1_POST, V1_GET]
    assert payload(one.requests[0]) == PLAIN


async def test_a_write_of_v1_that_reads_back_otherwise_is_a_conflict():
    error = await Client(answer(204), answer(200, {"data": {"a": "other"}}), version="1").fails(cas=None)

    assert (type(error), error.code) == (StoreConflictError, "readback")


async def test_a_200_of_v1_is_no_acknowledgement():
    one = Client(written(1), answer(204), answer(200, {"data": PLAIN}), version="1")

    assert await one.write(cas=None) == Written(version=None)
    assert one.asked == [V1_POST, V1_POST, V1_GET]


@pytest.mark.parametrize("rights", [["create"], ["update"], ["read", "update"], ["root"]])
async def test_v1_is_proven_by_asking_for_the_rights(rights):
    await Client(answer(200, {"data": {"secret/tokens/crm": rights}}), version="1").vault.prove(PLACE)


@pytest.mark.parametrize(
    ("reply", "code"),
    [(answer(200, {"data": {"secret/tokens/crm": ["deny"]}}), "denied"), (answer(200, {}), "garbage")],
)
async def test_v1_without_rights_is_not_proven(reply, code):
    with pytest.raises(StoreError) as caught:
        await Client(reply, version="1").vault.prove(PLACE)

    assert caught.value.code == code


@pytest.mark.parametrize(("reply", "code"), [(SEALED, "sealed"), (written(1), "garbage"), (lost(), "transport")])
async def test_a_proof_that_is_none_is_raised(reply, code):
    with pytest.raises(StoreUnavailableError) as caught:
        await Client(reply).vault.prove(PLACE)

    assert caught.value.code == code


@pytest.mark.parametrize("reply", [answer(200, b"<html>"), answer(404, b"<html>"), answer(200, {"data": None})])
async def test_what_a_proxy_says_is_not_absence(reply):
    with pytest.raises(StoreError):
        await Client(reply).vault.read(PLACE)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"a\ud800": Secret("")}, "request"),
        ({"a": Secret("\udfff")}, "request"),
        ({"a": Secret("x" * 2**18)}, "too_large"),
    ],
)
@pytest.mark.answer("V30")
async def test_what_vault_would_spoil_is_not_sent(data, code):
    one = Client()

    with pytest.raises(StoreRefusedError) as caught:
        await one.vault.write(PLACE, data, cas=0)

    assert (caught.value.code, one.http.requests) == (code, [])


async def test_a_read_is_not_written_and_tells_absence():
    one = Client(NOTHING)

    assert await one.vault.read(PLACE) == Absent(version=0)
    assert one.requests[0].body == b""


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (mounted("secret", kind="pki"), "mount"),
        (mounted("sec"), "mount"),
        (answer(200, {"data": {}}), "garbage"),
        (answer(404, b"<html>"), "mount"),
        (SEALED, "sealed"),
    ],
)
async def test_a_mount_that_is_none(reply, code):
    http = ScriptedHttp(looked_up(ttl=0), reply)
    vault = connect(a_cluster(GIVEN), http, VirtualClock(), Local("hvs.1"))

    with pytest.raises(StoreError) as caught:
        await vault.mount_version("secret")

    assert caught.value.code == code


async def test_a_mount_is_no_secret():
    http = ScriptedHttp(looked_up(ttl=0), mounted("team/kv"))

    with pytest.raises(StoreRefusedError, match="this is a mount"):
        await connect(a_cluster(GIVEN), http, VirtualClock(), Local("hvs.1")).locate("team/kv")


async def test_a_mount_whose_name_has_slashes_is_located():
    http = ScriptedHttp(looked_up(ttl=0), mounted("team/kv"))
    vault = connect(a_cluster(GIVEN, name="eu"), http, VirtualClock(), Local("hvs.1"))

    assert await vault.locate("team/kv/a/b") == Location(cluster="eu", mount="team/kv", path="a/b")
    assert await vault.locate("team/kv/c") == Location(cluster="eu", mount="team/kv", path="c")
    assert http.asked[1:] == ["GET /v1/sys/internal/ui/mounts/team/kv/a/b"]


@pytest.mark.parametrize(
    ("status", "state"),
    [(200, "active"), (429, "standby"), (472, "standby"), (473, "standby"), (501, "uninitialised"), (503, "sealed")],
)
@pytest.mark.answer("V2", "V3", "V4")
async def test_health_is_told_by_the_status(status, state):
    http = ScriptedHttp(answer(status, {"initialized": status != 501}))

    assert await connect(a_cluster(), http, VirtualClock(), Local()).health() == state
    assert header(http.requests[0], "x-vault-token") is None


@pytest.mark.parametrize(
    ("reply", "code"),
    [(answer(200, b"<html>"), "garbage"), (answer(503, b"<html>"), "unavailable"), (lost(), "transport")],
)
async def test_health_that_is_not_vaults_is_none(reply, code):
    with pytest.raises(StoreUnavailableError) as caught:
        await connect(a_cluster(), ScriptedHttp(reply), VirtualClock(), Local()).health()

    assert caught.value.code == code


async def test_login_and_end():
    http = ScriptedHttp(logged_in(), answer(204))
    vault = connect(a_cluster(), http, VirtualClock(), Local())
    await vault.login()
    await vault.aclose()

    assert http.asked == ["POST /v1/auth/approle/login", "POST /v1/auth/token/revoke-self"]

"""The members of a token answer: what the recorded replies leave open."""

from datetime import timedelta

import pytest

from refresher.core.job import ResponseMap
from refresher.core.model import Granted
from refresher.core.secret import Secret
from tests.providers.replies import EPOCH, iso, judge, refusal, reply, token_of

ODD_LIFE = [-1, -0.5, "-5", "3600.5", "1 2", "\uff11", [], {}, True, "9" * 309]


@pytest.mark.parametrize("value", ODD_LIFE)
def test_a_lifetime_that_can_not_be_read_is_malformed(value):
    assert refusal(reply({"access_token": "AT", "expires_in": value})).error == "expires_in"
    assert refusal(reply({"access_token": "AT", "expires_at": value})).error == "expires_in"
    assert refusal(reply({"access_token": "AT", "expires_in_sec": value})).error == "expires_in"


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"expires_in": 0.9}, None),
        ({"expires_in": "0"}, None),
        ({"expires_in": "  "}, None),
        ({"expires_in": 2**31 - 1}, 2**31 - 1),
        ({"expires_in": 2**31}, 2**31 - 1),
        ({"expires_in": "9" * 308}, 2**31 - 1),
        ({"expires_in": 1e300}, 2**31 - 1),
        ({"expiresIn": 60}, 60),
        ({"expires_in_sec": None, "expires_in": 60}, 60),
        ({"expires_in_sec": 60, "expires_in": "zzz"}, 60),
        ({"expires_in": 0, "expires_at": EPOCH + 60}, 60),
        ({"expires_at": EPOCH + 60.9}, 60),
        ({"expiresAt": (EPOCH + 60) * 1000}, 60),
        ({"expires_on": str(EPOCH + 60)}, 60),
        ({"expires": 1_349_067_600}, 1_349_067_600),
        ({"expires_at": iso(timedelta(seconds=60))}, 60),
        ({"expires_at": iso(timedelta(seconds=60)).removesuffix("+00:00")}, 60),
        ({"expires_at": iso(timedelta(seconds=60)).replace("+00:00", "Z")}, 60),
        ({"expires_at": "2023-11-15T00:13:20+01:00"}, 3600),
        ({"expires_in": 60, "expires_at": 1, "ext_expires_in": 5, "refresh_expires_in": 5, "issued_at": "5"}, 60),
    ],
)
def test_lifetimes(members, expected):
    token = token_of(members)
    assert token.expires_in == expected
    stated = members.get("expires_in")
    assert ("expires_in_clamped" in token.flags) == (expected == 2**31 - 1 != stated)


@pytest.mark.parametrize(
    "value", [EPOCH, EPOCH + 0.5, 1_349_067_601, iso(timedelta(0)), "2023-99-99T00:00:00", "soon", "2023-11-15"]
)
def test_a_moment_that_is_past_or_unreadable_is_malformed(value):
    assert refusal(reply({"access_token": "AT", "expires_at": value})).error == "expires_in"


def test_the_job_says_the_lifetime_where_the_provider_does_not():
    def life(members: dict, lifetime: timedelta) -> int | None:
        return token_of(members, job={"lifetime": lifetime}).expires_in

    assert life({}, timedelta(hours=2)) == 7200
    assert life({"expires_in": 60}, timedelta(hours=2)) == 60
    assert life({}, timedelta(milliseconds=1)) == 1
    assert life({}, timedelta(days=36_500)) == 2**31 - 1


@pytest.mark.parametrize(
    ("where", "members", "expected"),
    [
        (ResponseMap(expires_in="life"), {"life": 60, "expires_in": 5}, 60),
        (ResponseMap(expires_in="life", expires_in_unit="ms"), {"life": "60999"}, 60),
        (ResponseMap(expires_in="until"), {"until": iso(timedelta(seconds=60))}, 60),
        (ResponseMap(expires_in="until", expires_in_unit="ms"), {"until": (EPOCH + 60) * 1000}, 60),
        (ResponseMap(expires_in="life"), {"expires_in": 5}, None),
        (ResponseMap(expires_in_unit="ms"), {"expires_in": 60_000}, 60),
        (ResponseMap(expires_in_unit="ms"), {"expires_in_sec": 60, "expires_in": 5}, 60),
    ],
)
def test_mapped_lifetimes(where, members, expected):
    assert token_of(members, job={"response": where}).expires_in == expected


def test_members_are_found_inside_an_envelope():
    where = ResponseMap(access_token="data.token", expires_in="meta.ttl", error="meta.code", error_ok=(1,))
    body = {
        "data": {"token": "AT", "refresh_token": "RT", "scope": "a", "id_token": "ID"},
        "meta": {"ttl": 60, "code": 1, "region": "EU"},
        "refresh_token": "decoy",
    }
    job = {"response": where, "keep": ("id_token", "meta.region", "nothing")}
    token = judge(reply(body), job=job).token
    assert token.access_token.reveal() == "AT"
    assert (token.expires_in, token.refresh_token, token.scope) == (60, Secret("RT"), ("a",))
    assert {name: value.reveal() for name, value in token.extras.items()} == {"id_token": "ID", "meta.region": "EU"}
    assert refusal(reply({"data": {"token": ""}}), job=job).error == "access_token"
    assert refusal(reply({"data": "AT"}), job=job).error == "access_token"
    assert refusal(reply(body | {"meta": {"code": 0}}), job=job).error == "0"
    assert refusal(reply(b'{"data":{"token":"AT"},"data":{"token":"AT"}}'), job=job).error == "duplicate"


def test_a_name_with_a_dot_may_be_one_name():
    where = ResponseMap(access_token="token.value")
    assert (
        judge(
            reply({"token.value": "AT", "token": {"value": "no"}}), job={"response": where}
        ).token.access_token.reveal()
        == "AT"
    )


@pytest.mark.parametrize(
    "kind", [None, "", "Bearer", "bEARER", "BearerToken", "Application Access Token", "bot", "user"]
)
def test_bearer_has_many_names(kind):
    assert token_of({"token_type": kind}).token_type == "Bearer"
    assert token_of({"tokenType": kind}).token_type == "Bearer"


@pytest.mark.parametrize("kind", ["N_A", "DPoP", "Bearer ", "mac", "u\u017fer"])
def test_other_types_are_refused_for_good(kind):
    verdict = refusal(reply({"access_token": "AT", "token_type": kind}))
    assert (verdict.kind, verdict.error) == ("permanent", "unsupported_token_type")


@pytest.mark.parametrize(
    ("value", "expected", "flags"),
    [
        (" ", None, ()),
        (",", None, ()),
        ([], None, ()),
        (["a", ""], ("a",), ()),
        (" a,b ", ("a", "b"), ()),
        ("a,b c", ("a,b", "c"), ()),
        (["a", "\u202eb"], None, ("scope_unreadable",)),
        ("a\ud800", None, ("scope_unreadable",)),
        (5, None, ("scope_unreadable",)),
        ("a" * 16_384, ("a" * 16_384,), ()),
        ("a" * 16_385, None, ("scope_unreadable",)),
        (["a"] * 1000, ("a",) * 1000, ()),
        (["a"] * 1001, None, ("scope_unreadable",)),
    ],
)
def test_scopes(value, expected, flags):
    token = token_of({"scope": value})
    assert (token.scope, token.flags) == (expected, flags)


@pytest.mark.parametrize(
    ("asked", "required", "said", "flags"),
    [
        (("a", "b"), ("a",), "a", ("scope_narrowed",)),
        (("a",), ("a",), "a b", ()),
        (("a",), ("a",), None, ()),
        ((), ("a",), None, ()),
        ((), (), {}, ("scope_unreadable",)),
        (("a",), (), "", ()),
        (("a",), (), "b", ("scope_narrowed",)),
    ],
)
def test_enough_scope(asked, required, said, flags):
    assert token_of({"scope": said}, job={"scope": asked, "require_scope": required}).flags == flags


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ((), "b"),
        (("a",), "b"),
        (("b",), None),
        *[(asked, said) for asked in ((), ("a",)) for said in ("", " ", ",", [], [""], {}, {"a": 1}, ["a", 1], 5)],
    ],
)
def test_too_little_scope_is_refused_for_good(asked, said):
    verdict = refusal(reply({"access_token": "AT", "scope": said}), job={"scope": asked, "require_scope": ("a",)})
    assert (verdict.kind, verdict.error) == ("permanent", "insufficient_scope")


def test_a_refresh_token_outlives_a_scope_that_says_nothing():
    members = {"access_token": "AT", "refresh_token": "RT-2", "scope": {}}
    assert refusal(reply(members), job={"require_scope": ("a",)}).refresh_token == Secret("RT-2")


def test_scope_under_another_name():
    job = {"response": ResponseMap(scope="granted.list"), "require_scope": ("a",)}
    assert token_of({"granted": {"list": ["a"]}, "scope": "b"}, job=job).scope == ("a",)


def test_kept_members_are_those_named_that_are_text():
    members = {"id_token": "ID", "instance": 5, "broken": "\ud800", "other": "x"}
    token = token_of(members, job={"keep": ("id_token", "instance", "broken", "absent")})
    assert {name: value.reveal() for name, value in token.extras.items()} == {"id_token": "ID"}


@pytest.mark.parametrize("value", [None, ""])
def test_no_refresh_token_means_keep_the_old_one(value):
    token = token_of({"refresh_token": value}, sent_refresh_token=Secret("RT"))
    assert (token.refresh_token, token.flags) == (None, ())


@pytest.mark.parametrize("value", [False, 0, [], "R 2", "R\x7f", "R" * 65_537])
def test_a_refresh_token_that_can_not_be_sent_is_malformed(value):
    assert refusal(reply({"access_token": "AT", "refresh_token": value})).error == "refresh_token"


def test_rotation_of_the_refresh_token_is_seen():
    assert token_of({"refresh_token": "RT"}, sent_refresh_token=Secret("RT")).flags == ()
    assert token_of({"refresh_token": "R2"}).flags == ()
    changed = token_of({"refreshToken": "R2"}, sent_refresh_token=Secret("RT"), previous=Secret("AT"))
    assert changed.flags == ("refresh_token_rotated", "unchanged_token")
    assert token_of({}, previous=Secret("other")).flags == ()


@pytest.mark.parametrize(
    ("members", "spared"),
    [
        ({"access_token": "AT", "token_type": "DPoP", "refresh_token": "R2"}, Secret("R2")),
        ({"access_token": "AT", "expires_in": "zzz", "refresh_token": "R2"}, Secret("R2")),
        ({"refresh_token": "R2"}, Secret("R2")),
        ({"access_token": "AT", "expires_in": "zzz"}, None),
        ({"refresh_token": "R 2"}, None),
    ],
)
def test_a_refresh_token_is_not_lost_with_the_answer(members, spared):
    assert refusal(reply(members)).refresh_token == spared


def test_an_envelope_sent_twice_spares_nothing():
    job = {"response": ResponseMap(access_token="data.token")}
    verdict = refusal(reply(b'{"data":{"refresh_token":"R2"},"data":1}'), job=job)
    assert (verdict.error, verdict.refresh_token) == ("duplicate", None)


def test_lifetimes_count_from_when_the_request_was_sent():
    verdict = judge(reply({"access_token": "AT", "expires_in": 60}, 201))
    assert isinstance(verdict, Granted)
    assert (verdict.status, verdict.token.issued_at.timestamp()) == (201, EPOCH)

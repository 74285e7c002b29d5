"""Names and texts that a job adds to a request, takes from a reply, and gives a program."""

import pytest

from refresher.config import members
from refresher.config.words import BadValueError

PRIVATE = {"secret": "file:/etc/refresher/crm.secret"}


def test_params():
    assert members.params({"audience": "https://api.example.com", "empty": ""}) == (
        ("audience", "https://api.example.com"),
        ("empty", ""),
    )
    assert members.params({"a": ["1", "2"], "b": "3"}) == (("a", "1"), ("a", "2"), ("b", "3"))
    assert members.params({"redirect_uri": "https://app.example.com/cb"}) == (
        ("redirect_uri", "https://app.example.com/cb"),
    )


def test_a_consent_comes_back_to_us_alone():
    assert members.consent_params({"access_type": "offline"}) == (("access_type", "offline"),)
    with pytest.raises(BadValueError, match='"redirect_uri" is set by refresher itself: write redirect_port'):
        members.consent_params({"redirect_uri": "https://app.example.com/cb"})
    with pytest.raises(BadValueError, match="the key authorize of"):
        members.consent_params({"state": "x"})


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ({"grant_type": "password"}, "the key grant of"),
        ({"client_secret": "x"}, "the key client_secret of"),
        ({"client_assertion": "x"}, "the key client_key of"),
        ({"code": "x"}, "carries a secret"),
        ({"n": 1}, "table of texts"),
        ({"": "x"}, "names not empty"),
        ({"a": "b\nc"}, "control characters"),
        (["a"], "table of texts"),
        ({"a": []}, "table of texts"),
        ({"a": ["b", 1]}, "table of texts"),
        ({"a": [["b"]]}, "table of texts"),
        ({"a": {"b": "c"}}, "table of texts"),
        ({"a": ["b", "c\nd"]}, "control characters"),
        ({"state": "x"}, "the key authorize of"),
        ({"subject_token": "x"}, "the key subject_token of"),
        ({"actor_token": "x"}, "carries a secret"),
        (PRIVATE, '"secret" is a reference to a secret, and none is read here'),
    ],
)
def test_no_params(value, hint):
    with pytest.raises(BadValueError, match=hint):
        members.params(value)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (["refresh_token"], "state record"),
        (["access_token"], "stored already"),
        (["expires_at"], "stored already"),
        ([""], "member"),
        ([1], "member"),
        (["a b"], "member"),
        ("id_token", "list"),
    ],
)
def test_what_is_not_kept(value, hint):
    with pytest.raises(BadValueError, match=hint):
        members.keep(value)


def test_keep_names_each_member_once():
    assert members.keep(["id_token", "id_token", "instance_url"]) == ("id_token", "instance_url")


@pytest.mark.parametrize("value", [[True], ["a", 1.5], "0", 0, [[]]])
def test_no_error_values(value):
    with pytest.raises(BadValueError):
        members.error_ok(value)


def test_error_values():
    assert members.error_ok([0, "ok"]) == (0, "ok")


def test_headers():
    assert members.headers({"X-Tenant": "acme", "Accept": "application/json; q=1", "User-Agent": "acme/1 (ops)"}) == (
        ("X-Tenant", "acme"),
        ("Accept", "application/json; q=1"),
        ("User-Agent", "acme/1 (ops)"),
    )


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "proxy-authorization",
        "Content-Length",
        "Host",
        "CONNECTION",
        "Transfer-Encoding",
        "TE",
        "Accept-Encoding",
    ],
)
def test_a_header_that_is_refreshers_own(name):
    with pytest.raises(BadValueError, match=f'"{name}" is set by refresher itself'):
        members.headers({name: "x"})


@pytest.mark.parametrize(
    "name", ["Cookie", "X-Api-Key", "Ocp-Apim-Subscription-Key", "X-Auth", "X-Vault-Token", "apikey", "X-Client-Secret"]
)
def test_a_header_that_looks_like_a_secret(name):
    with pytest.raises(BadValueError, match=f'"{name}" looks like a secret'):
        members.headers({name: "x"})


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"X-A": "b\r\nX-Evil: 1"}, "visible ASCII"),
        ({"X-A": " b"}, "visible ASCII"),
        ({"X-A": ""}, "visible ASCII"),
        ({"X-A": "é"}, "visible ASCII"),
        ({"X-A": "b" * 4097}, "visible ASCII"),
        ({"X A": "b"}, "names must be as in HTTP"),
        ({"X-A:": "b"}, "names must be as in HTTP"),
        ({"": "b"}, "names must be as in HTTP"),
        ({"X-A": "1", "x-a": "2"}, "name a header twice"),
        ({"X-A": 1}, "table of texts"),
        (["X-A"], "table of texts"),
        (PRIVATE | {"X-A": "env:A"}, "reference|secret"),
        ({"X-A": "env:A"}, '"X-A" is a reference'),
    ],
)
def test_no_headers(value, why):
    with pytest.raises(BadValueError, match=why):
        members.headers(value)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"iss": "x"}, '"iss" is set by refresher itself; there is issuer, subject, audience, lifetime'),
        ({"jti": "x"}, "set by refresher itself"),
        ({"a": 1}, "table of texts"),
        ({"a": "\x1b"}, "control characters"),
        (PRIVATE, "is a reference"),
    ],
)
def test_no_claims(value, why):
    with pytest.raises(BadValueError, match=why):
        members.claims(value)


@pytest.mark.parametrize("value", ["jwt", "urn:", "urn:a b", ":x", "urn:é", 1])
def test_no_uri(value):
    with pytest.raises(BadValueError, match="must be a URI"):
        members.uri(value)


@pytest.mark.parametrize("value", ["token", "data.token", "a.b.c", "x:y", "a-b"])
def test_a_place_in_a_reply(value):
    assert members.place(value) == value


@pytest.mark.parametrize("value", ["", ".", "a.", ".a", "a..b", "a b", "a\n", "-a", "a" * 200, 1])
def test_no_place_in_a_reply(value):
    with pytest.raises(BadValueError, match="must be the name of a member"):
        members.place(value)


@pytest.mark.parametrize("value", [[], "", [""], ["a\nb"], 7, {"a": "b"}, [["a"]]])
def test_not_one_text_nor_several(value):
    with pytest.raises(BadValueError):
        members.several(value)


@pytest.mark.parametrize("value", [{"a b": "env:A"}, {"": "env:A"}, {"1a": "env:A"}, ["env:A"], {"a": "x"}, {"a": 1}])
def test_no_named_secrets(value):
    with pytest.raises(BadValueError):
        members.secrets(value)

"""Names and texts that a job adds to a request, takes from a reply, and gives a program."""

import pytest

from refresher.config import members
from refresher.config.words import BadValueError
from refresher.core.model import Reference


def test_params():
    assert members.params({"audience": "https://api.example.com", "empty": ""}) == (
        ("audience", "https://api.example.com"),
        ("empty", ""),
    )


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

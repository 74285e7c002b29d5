"""What readers find under which name."""

import pytest

from refresher.core.fields import ALWAYS, MEMBERS, OWN, is_whole, laid_out, named, shown, token_field, token_in
from refresher.core.model import Found, Token
from refresher.core.published import data_of, held_in, owned
from refresher.core.secret import Secret
from tests.core.builders import NOW, a_job

RENAMED = (("token", "{access_token}"), ("header", "{token_type} {access_token}"), ("ttl", "300s"))


def published(**changes) -> dict[str, Secret]:
    return dict(data_of(a_token(**changes), a_job(keep=("id_token",)), "default"))


def a_token(**changes) -> Token:
    return Token(**{"access_token": Secret("AT"), "issued_at": NOW, "expires_in": 3600} | changes)


def plain(data) -> dict[str, str]:
    return {name: secret.reveal() for name, secret in data.items()}


def test_names_and_fixed_texts_and_what_refresher_itself_reads():
    data = published(expires_in=3600)
    assert plain(laid_out(data, RENAMED)) == {
        "token": "AT",
        "header": "Bearer AT",
        "ttl": "300s",
        **{name: data[name].reveal() for name in OWN},
    }
    assert laid_out(data, ()) is data


def test_a_member_of_each_name_is_known():
    data = published(expires_in=3600)
    assert sorted(data) == sorted(MEMBERS)
    assert data_of(a_token(expires_in=None), a_job(lifetime=None), "default").keys() == ALWAYS


@pytest.mark.parametrize("text", ["{", "}", "{a", "a}", "{{a}}", "{a{b}}"])
def test_a_brace_stands_only_around_a_name(text):
    with pytest.raises(ValueError, match="brace"):
        named(text)


def test_what_a_token_holds_is_taken_as_it_stands():
    """A token with braces in it is not looked through for further names."""
    data = published() | {"access_token": Secret("{scope}")}
    assert plain(laid_out(data, RENAMED))["header"] == "Bearer {scope}"


def test_a_field_of_a_member_that_is_not_there_is_left_out():
    fields = (("token", "{access_token}"), ("until", "{expires_at_unix}"), ("id", "id {id_token}"))
    data = laid_out(published(expires_in=None), fields)
    assert data.keys() == {"token", "job", "managed_by", "issued_at"}
    assert is_whole(data, fields), "else it would be fetched again and again"


def test_what_stands_there_is_ours_and_counts_as_a_token():
    job, data = a_job(), laid_out(published(expires_in=3600), RENAMED)
    there = Found(version=3, data=data)
    assert owned(there, job, "default")
    held = held_in(there, job, "default", RENAMED)
    assert held is not None
    assert (held.ours, held.lifetime.total_seconds()) == (True, 3600)
    assert held_in(there, job, "default") is None, "other fields are asked for: it is written anew"
    assert held_in(Found(version=3, data=published()), job, "default", RENAMED) is None
    assert held_in(Found(version=3, data=published()), job, "default") is not None


@pytest.mark.parametrize(
    ("fields", "by_itself", "seen", "token"),
    [
        ((), "access_token", "access_token", "AT"),
        (RENAMED, "token", "token", "AT"),
        ((("header", "Bearer {access_token}."),), "", "header", "AT"),
        ((("ttl", "1"), ("both", "{token_type} {access_token}")), "", "both", None),
        ((("id", "{id_token}"),), "", "id", None),
    ],
)
def test_where_the_token_is_found_again(fields, by_itself, seen, token):
    assert token_field(fields) == by_itself
    assert not fields or shown(fields) == seen
    data = laid_out(published(extras={"id_token": Secret("ID")}), fields)
    assert token_in(data, fields) == (None if token is None else Secret(token))


def test_no_token_in_what_somebody_else_wrote():
    fields = (("header", "Bearer {access_token}."),)
    for text in ("", "Bearer .", "Basic x.", "Bearer x"):
        assert token_in({"header": Secret(text)}, fields) is None

"""A secret shows nothing of itself, whatever is done with it; only `reveal` gives it away."""

import contextlib
import copy
import dataclasses
import io
import json
import logging
import pickle
import pprint
import string
import traceback
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresher.core.model import Found, Granted, HttpRequest, HttpResponse, Token
from refresher.core.secret import MASK, Secret
from tests.core.builders import NOW


@dataclasses.dataclass
class Holder:
    """What somebody writes who thinks of no secret."""

    name: str
    secret: Secret


def raised(secret: Secret) -> str:
    try:
        raise ValueError(secret, f"{secret} was wrong")  # noqa: TRY301  # as it would be raised
    except ValueError as error:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        return "".join(told.format()) + repr(error.args)


def logged(secret: Secret) -> str:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "it is %s, or %r", (secret, [secret]), None)
    return logging.Formatter().format(record)


def printed(secret: Secret) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        print(secret, [secret], {"a": secret})
        print(pprint.pformat(Holder("x", secret)))
    return out.getvalue()


SHOWN: dict[str, Callable[[Secret], str]] = {
    "str": str,
    "repr": repr,
    "f-string": lambda secret: f"{secret} {secret!r} {secret!s} {secret!a} {secret:>80} {secret:.3}",
    "format": lambda secret: f"{secret} {secret:s} {secret.__class__}" + format(secret, "x<99"),
    "percent": lambda secret: "%s %r %a" % (secret, secret, secret),  # noqa: UP031  # the old way shows it no more
    "template": lambda secret: string.Template("$a").substitute(a=secret),
    "container": lambda secret: repr([secret, (secret,), {"a": secret}]),
    "dataclass": lambda secret: repr(Holder("x", secret)),
    "exception": raised,
    "log record": logged,
    "print": printed,
    "JSON by str": lambda secret: json.dumps({"a": secret}, default=str),
    "JSON by vars": lambda secret: json.dumps([getattr(secret, "__dict__", None)]),
    "our models": lambda secret: repr(
        [
            Granted(token=Token(access_token=secret, issued_at=NOW, expires_in=None, extras={"a": secret})),
            Found(version=1, data={"a": secret}),
            HttpRequest(url=secret.reveal(), headers=(("a", secret.reveal()),), body=repr(secret.reveal()).encode()),
            HttpResponse(status=1, headers=(("a", secret.reveal()),), body=repr(secret.reveal()).encode()),
        ]
    ),
}
REFUSED: dict[str, Callable[[Secret], object]] = {
    "JSON": json.dumps,
    "pickle": pickle.dumps,
    "copy": copy.copy,
    "deep copy": copy.deepcopy,
    "asdict": lambda secret: dataclasses.asdict(Holder("x", secret)),
    "hash": hash,
    "key of a dict": lambda secret: {secret: 1},
    "order": lambda secret: secret < Secret("x"),
    "add": lambda secret: "x" + secret,
    "iterate": list,
    "length": len,
    "bytes": bytes,
    "vars": vars,
}
# What no other text here has in it by accident.
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=8, max_size=40).map(
    lambda text: f"S3CR3T{text}T3RC3S"
)


@pytest.mark.leak("L29")
@pytest.mark.parametrize("way", SHOWN)
@given(text=TEXTS)
def test_no_way_to_write_it_down_shows_it(way, text):
    shown = SHOWN[way](Secret(text))
    assert "S3CR3T" not in shown
    assert "T3RC3S" not in shown


@pytest.mark.leak("L29")
@pytest.mark.parametrize("way", REFUSED)
def test_what_would_take_it_along_is_refused_without_showing_it(way):
    with pytest.raises(TypeError) as caught:
        REFUSED[way](Secret("S3CR3T"))
    assert "S3CR3T" not in str(caught.value)


@given(one=TEXTS, other=TEXTS)
def test_it_is_compared_and_revealed_and_nothing_else(one, other):
    assert Secret(one).reveal() == one
    assert (Secret(one) == Secret(other)) is (one == other)
    assert Secret(one) != one
    assert str(Secret(one)) == str(Secret(other)) == MASK
    assert (bool(Secret(one)), bool(Secret(""))) == (True, False)

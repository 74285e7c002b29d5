"""Whom hooks tell of what, and what a webhook says and how it is signed."""

import base64
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from refresher.core import hooks
from refresher.core.events import Event
from refresher.core.hooks import Hook
from refresher.core.secret import Secret
from tests.core.builders import NOW, a_job

ROTATED = Event(name="rotated", job="crm", fields={"version": 7, "why": "naïve"})
KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()


@pytest.mark.parametrize(
    ("hook", "event", "wanted"),
    [
        (Hook(name="all"), ROTATED, True),
        (Hook(name="all"), Event(name="started"), True),
        (Hook(name="all"), replace(ROTATED, level="debug"), False),
        (Hook(name="all"), Event(name="hook_failed", level="error"), False),
        (Hook(name="all"), Event(name="program_output", level="warning", fields={"hook": "all"}), False),
        (Hook(name="all"), Event(name="program_output", level="warning"), True),
        (Hook(name="loud", level="error"), ROTATED, False),
        (Hook(name="loud", level="error"), Event(name="latched", level="error"), True),
        (Hook(name="one", events=frozenset(("latched",))), ROTATED, False),
        (Hook(name="one", events=frozenset(("rotated",))), ROTATED, True),
        (Hook(name="asked", moment="before"), ROTATED, False),
    ],
)
def test_who_is_told_of_what(hook, event, wanted):
    assert hook.wants(event, a_job()) is wanted
    assert hook.wants(event, None) is wanted


def test_a_job_that_names_hooks_has_those_alone():
    hook = Hook(name="one")
    assert hook.wants(ROTATED, a_job(hooks=("one",)))
    assert not hook.wants(ROTATED, a_job(hooks=("other",)))
    assert not hook.wants(ROTATED, a_job(hooks=()))


def test_an_event_is_a_cloud_event():
    told = json.loads(hooks.written(hooks.cloud_event(ROTATED, ident="abc", instance="blue", at=NOW)))
    assert told == {
        "specversion": "1.0",
        "id": "abc",
        "source": "/refresher/blue",
        "type": "refresher.rotated",
        "subject": "crm",
        "time": "2026-11-21T10:00:00.000000Z",
        "datacontenttype": "application/json",
        "data": {"level": "info", "event": "rotated", "job": "crm", "version": 7, "why": "naïve"},
    }
    assert all(re.fullmatch("[a-z0-9]{1,20}", name) for name in told), "CloudEvents 1.0, section 3.1"
    of_the_daemon = hooks.cloud_event(Event(name="stopped"), ident="abc", instance="blue", at=NOW)
    assert "subject" not in of_the_daemon, "an empty one is not allowed"
    assert "job" not in of_the_daemon["data"]


def signed(secret: str, body: bytes) -> dict[str, str]:
    return dict(hooks.headers("abc", datetime.now(tz=UTC), body, hooks.signing_key(Secret(secret))))


def test_somebody_elses_library_verifies_the_signature():
    body = hooks.written(hooks.cloud_event(ROTATED, ident="abc", instance="blue", at=NOW))
    found = signed(KEY, body)
    assert Webhook(KEY).verify(body, found) == json.loads(body)
    assert found["webhook-id"] == "abc"
    with pytest.raises(WebhookVerificationError):
        Webhook(KEY).verify(body.replace(b"7", b"8"), found)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + base64.b64encode(b"x" * 32).decode()).verify(body, found)
    old = dict(hooks.headers("abc", datetime.now(tz=UTC) - timedelta(hours=1), body, b"k" * 32))
    with pytest.raises(WebhookVerificationError):
        Webhook(KEY).verify(body, old)


def test_a_secret_without_the_prefix_is_the_key_itself():
    found = signed("a plain text, long enough", b"{}")
    assert Webhook(b"a plain text, long enough").verify(b"{}", found) == {}


@pytest.mark.parametrize("secret", ["whsec_not base64!", "whsec_" + base64.b64encode(b"short").decode(), "whsec_"])
def test_a_key_that_is_none_is_told_without_being_shown(secret):
    with pytest.raises(ValueError, match="what follows whsec_") as caught:
        hooks.signing_key(Secret(secret))
    assert "base64!" not in str(caught.value)


def test_without_a_secret_nothing_is_signed():
    assert "webhook-signature" not in dict(hooks.headers("abc", NOW, b"", None))


@pytest.mark.parametrize(
    ("status", "final"),
    [(301, True), (400, True), (404, True), (410, True), (408, False), (429, False), (500, False), (503, False)],
)
def test_which_answers_mean_it(status, final):
    assert hooks.is_final(status) is final

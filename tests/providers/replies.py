"""Small replies for the tests of the reader."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from refresher.core.model import Granted, HttpResponse, Rejected, Token, Verdict
from refresher.providers import interpret
from tests.core.builders import a_job

SENT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
EPOCH = int(SENT.timestamp())


def reply(
    body: object = b"", status: int = 200, *, truncated: bool = False, **headers: str | list[str]
) -> HttpResponse:
    """Return a reply; what is no bytes is sent as JSON, `a_header` as `a-header`."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    pairs = [
        (name.replace("_", "-"), value)
        for name, values in headers.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    return HttpResponse(status=status, headers=tuple(pairs), body=content, truncated=truncated)


def judge(response: HttpResponse, *, job: dict[str, Any] | None = None, **context) -> Verdict:
    return interpret(response, a_job(**job or {}), **{"sent_at": SENT} | context)


def token_of(members: dict[str, Any], **given) -> Token:
    """Return the token that is read of `members` beside an access token."""
    verdict = judge(reply({"access_token": "AT"} | members), **given)
    assert isinstance(verdict, Granted), verdict
    return verdict.token


def refusal(response: HttpResponse, **given) -> Rejected:
    verdict = judge(response, **given)
    assert isinstance(verdict, Rejected), verdict
    return verdict


def outcome(response: HttpResponse, **given) -> tuple[str, str, int | None]:
    """Return kind, code and wait of a refusal."""
    verdict = refusal(response, **given)
    assert verdict.status == response.status
    return verdict.kind, verdict.error, verdict.retry_after


def iso(span: timedelta) -> str:
    return (SENT + span).isoformat()

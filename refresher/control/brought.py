"""A token that a person brings: judged as the provider's own reply would be."""

import json
from dataclasses import replace
from datetime import datetime, timedelta

from refresher.core.job import USUAL_REPLY, Job
from refresher.core.model import Granted, HttpResponse, Rejected, Token
from refresher.core.secret import Secret
from refresher.providers import interpret


def judged(text: Secret, job: Job, *, now: datetime, lifetime: timedelta | None) -> Token | Rejected:
    """Return the token in `text`: the provider's whole reply as JSON, or the access token alone.

    `lifetime` counts from now, and wins over what the reply says. One whose end nobody states is refused: it would
    never be renewed. So is a reply with a refresh token, which is `authorize`'s to store.
    """
    plain = text.reveal().strip()
    whole = plain.startswith("{")
    if not whole:
        plain, job = json.dumps({"access_token": plain, "token_type": "Bearer"}), replace(job, response=USUAL_REPLY)
    verdict = interpret(HttpResponse(status=200, body=plain.encode()), job, sent_at=now)
    if not isinstance(verdict, Granted):
        return verdict
    token = verdict.token
    if token.refresh_token is not None:
        why = "there is a refresh token in it: take that out, and give it to refresher authorize --import"
        return Rejected(kind="malformed", error="refresh_token", why=why)
    if lifetime is not None:
        token = replace(token, expires_in=round(lifetime.total_seconds()))
    if token.expires_in is None:
        why = "nobody says how long it lives: say so by --expires-in"
        return Rejected(kind="malformed", error="expires_in", why=why)
    return token

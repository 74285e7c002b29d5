"""The token request: what each grant sends (RFC 6749 sections 4.3.2, 4.4.2 and 6, RFC 7523, RFC 8693), and how."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, assert_never
from urllib.parse import quote, urlencode

from refresher import __version__
from refresher.core.job import GrantName, Job
from refresher.core.model import HttpRequest
from refresher.core.secret import Secret
from refresher.providers import apps, assertion, credentials
from refresher.providers.client_auth import Proof, prove

_HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",  # a reply is small, and compressing secrets gains nothing
    "User-Agent": f"refresher/{__version__}",
}
_CONTENT_TYPES: Final = {"form": "application/x-www-form-urlencoded", "json": "application/json"}
_GRANT_TYPES: Final[Mapping[GrantName, str]] = {
    "client_credentials": "client_credentials",
    "password": "password",
    "refresh_token": "refresh_token",
    "jwt_bearer": "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "token_exchange": "urn:ietf:params:oauth:grant-type:token-exchange",
}


def build(job: Job, grant: GrantName, secrets: Mapping[str, Secret], *, now: datetime, nonce: str) -> HttpRequest:
    """Return the request for a token of `job` by `grant`.

    `secrets` are those of `job.references()` by name; `refresh_token` is the one to use now. `nonce` must be new for
    each request: it becomes the `jti` of what is signed. `job.params` win over what the grant says, repeats kept.
    A refresh sends no scope: the server then grants what it granted before (section 6), and one that is asked for more
    may burn the refresh token. Raises UnreadableReferenceError for a credential that is missing or can't be used.
    """
    match job.shape.dialect:
        case "github_app":
            return carry(job, {}, Proof(headers=apps.github_app(job, secrets, now=now)))
        case "google_service_account":
            signed = apps.google_service_account(job, secrets, now=now)
            return carry(job, {"grant_type": _GRANT_TYPES["jwt_bearer"], "assertion": signed}, Proof())
        case "":
            fields = _fields(job, grant, secrets, now=now, nonce=nonce)
            return carry(job, fields, prove(job, secrets, now=now, nonce=nonce))
        case _:
            assert_never(job.shape.dialect)


def _fields(job: Job, grant: GrantName, secrets: Mapping[str, Secret], *, now: datetime, nonce: str) -> dict[str, str]:
    """Return the form of `grant`."""
    fields: dict[str, str] = {"grant_type": _GRANT_TYPES.get(grant, "")}
    match grant:
        case "password":
            fields["username"] = credentials.text(job.username, "username")
            fields["password"] = credentials.reveal(job, "password", secrets)
        case "refresh_token":
            fields["refresh_token"] = credentials.reveal(job, "refresh_token", secrets)
        case "jwt_bearer":
            fields["assertion"] = assertion.of_grant(job, secrets, now=now, nonce=nonce)
        case "token_exchange":
            fields["subject_token"] = credentials.reveal(job, "subject_token", secrets)
            fields["subject_token_type"] = job.shape.subject_token_type
        case "client_credentials":
            pass
        case _:
            assert_never(grant)
    if job.scope and grant != "refresh_token":
        fields["scope"] = " ".join(job.scope)
    return fields


def carry(job: Job, fields: Mapping[str, str], proof: Proof) -> HttpRequest:
    """Return the request that carries `fields` and `proof` to `job.token_url` in the way that it takes them.

    `job.params` win over `fields`, repeats kept; `proof` wins over the job's headers.
    """
    shape = job.shape
    named = {name for name, _ in job.params}
    pairs = [(name, value) for name, value in {**fields, **proof.fields}.items() if name not in named]
    pairs += job.params
    headers = _HEADERS | ({"Content-Type": _CONTENT_TYPES[shape.body]} if shape.method == "POST" else {})
    for name, value in (*shape.headers, *proof.headers):
        headers = {old: text for old, text in headers.items() if old.lower() != name.lower()} | {name: value}
    url, body = job.token_url, ""
    if shape.method == "GET":
        url += ("&" if "?" in url else "?") + _query(pairs)
    else:
        body = _query(pairs) if shape.body == "form" else _json(pairs)
    return HttpRequest(
        method=shape.method, url=url, headers=tuple(headers.items()), body=body.encode("ascii"), channel=shape.channel
    )


def _query(pairs: Iterable[tuple[str, str]]) -> str:
    """Return the form, a space as %20: not every server reads + as a space."""
    return urlencode(list(pairs), quote_via=quote, safe="")


def _json(pairs: Iterable[tuple[str, str]]) -> str:
    """Return an object; a name that comes more than once has a list."""
    members: dict[str, list[str]] = {}
    for name, value in pairs:
        members.setdefault(name, []).append(value)
    return json.dumps({name: values if len(values) > 1 else values[0] for name, values in members.items()})

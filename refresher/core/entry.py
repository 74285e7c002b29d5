"""What the journal keeps of an answer that is not in Vault yet: all that is needed to write it, and nothing more."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from refresher.core.job import Job
from refresher.core.model import Token
from refresher.core.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An answer. `nonce` and `generation` are those of its intent; `token` None: its access token can't be used."""

    job: str
    nonce: str
    generation: int
    refresh_token: Secret | None = None
    token: Token | None = None


def written(entry: Entry, job: Job) -> Secret:
    """Return `entry` as one line of JSON, with those extras alone that `job` keeps."""
    token = None
    if entry.token is not None:
        one = entry.token
        token = {
            "access_token": one.access_token.reveal(),
            "token_type": one.token_type,
            "issued_at": one.issued_at.isoformat(),
            "expires_in": one.expires_in,
            "refresh_in": one.refresh_in,
            "scope": one.scope,
            "extras": {name: text.reveal() for name, text in one.extras.items() if name in job.keep},
        }
    refresh_token = None if entry.refresh_token is None else entry.refresh_token.reveal()
    members = {"job": entry.job, "nonce": entry.nonce, "generation": entry.generation}
    paths = [str(place) for place in (job.state, *job.destinations)]  # for a person; the job says where it goes now
    return Secret(json.dumps({**members, "refresh_token": refresh_token, "token": token, "paths": paths}))


def read(text: Secret) -> Entry | None:
    """Return what `written` made of it; None for anything else, whatever it is."""
    try:
        members = json.loads(text.reveal())
        refresh_token = members["refresh_token"]
        return Entry(
            job=str(members["job"]),
            nonce=str(members["nonce"]),
            generation=int(members["generation"]),
            refresh_token=None if refresh_token is None else Secret(str(refresh_token)),
            token=None if members["token"] is None else _token(members["token"]),
        )
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError):
        return None


def _token(members: Any) -> Token:  # noqa: ANN401  # JSON of any shape
    scope = members["scope"]
    return Token(
        access_token=Secret(str(members["access_token"])),
        token_type=str(members["token_type"]),
        issued_at=datetime.fromisoformat(members["issued_at"]).astimezone(UTC),
        expires_in=_seconds(members["expires_in"]),
        refresh_in=_seconds(members["refresh_in"]),
        scope=None if scope is None else tuple(map(str, scope)),
        extras={str(name): Secret(str(one)) for name, one in members["extras"].items()},
    )


def _seconds(value: object) -> int | None:
    return int(value) if isinstance(value, int) else None

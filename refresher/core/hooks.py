"""Hooks: whom to tell of an event, and what a webhook says and how it is signed. Pure.

Rules of this module:
- What is told is a line of the log, as a CloudEvent 1.0 in JSON (structured mode): no secret is in it, as in no event.
- A repeat (level `debug`) is no news, and what is told of hooks themselves goes to the log alone: it would come back.
- Signatures are those of Standard Webhooks, v1 (symmetric): HMAC-SHA256 over `id.timestamp.body`.
"""

import base64
import binascii
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from refresher.core.events import Event, EventName, Level
from refresher.core.job import Job, Program
from refresher.core.model import Reference
from refresher.core.secret import Secret

LEVELS: Final[tuple[Level, ...]] = ("debug", "info", "warning", "error")
OWN: Final[frozenset[EventName]] = frozenset(("hook_failed", "vetoed"))
CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"
PREFIX: Final = "whsec_"
LEAST_KEY: Final = 24  # bytes, and at most 64 (Standard Webhooks, "Signature scheme")
MOST_KEY: Final = 64
LONGEST_WAIT: Final = timedelta(minutes=5)
TRIES: Final = 12  # some half an hour; then an event is given up
Url: TypeAlias = str | Reference  # an address may be a secret itself
Moment: TypeAlias = Literal["after", "before"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """What is called when something happened. One of `program`, `url` and `unit` is set.

    `moment`: `before` asks `program` whether a rotation may begin. `events` empty: all; `level`: the least important.
    `unit`: the name of a systemd unit that is to be reloaded. `secret` signs what goes to `url`.
    """

    name: str
    moment: Moment = "after"
    events: frozenset[EventName] = frozenset()
    level: Level = "info"
    program: Program | None = None
    url: Url = ""
    secret: Reference | None = None
    unit: str = ""

    def wants(self, event: Event, job: Job | None) -> bool:
        """Whether it is to be told of `event`, which is about `job`, or about none that is known."""
        if self.moment == "before" or event.level == "debug" or event.name in OWN or "hook" in event.fields:
            return False
        if self.events and event.name not in self.events:
            return False
        return LEVELS.index(event.level) >= LEVELS.index(self.level) and self.serves(job)

    def serves(self, job: Job | None) -> bool:
        """Whether it is one of those that `job` names, where it names any."""
        return job is None or job.hooks is None or self.name in job.hooks


def cloud_event(event: Event, *, ident: str, instance: str, at: datetime) -> dict[str, object]:
    """Return `event` as a CloudEvent (CloudEvents 1.0.2, JSON format 1.0.2); `data` is the line of the log."""
    job = {"job": event.job} if event.job else {}
    line = {"level": event.level, "event": event.name, **job, **event.fields}
    return _envelope(event.name, event.job, line, ident=ident, instance=instance, at=at)


def question(job: Job, reason: str, *, ident: str, instance: str, at: datetime) -> dict[str, object]:
    """Return what a `before` hook is asked: as a CloudEvent, too."""
    line = {"event": "before", "job": job.name, "provider": job.provider, "reason": reason}
    return _envelope("before", job.name, line, ident=ident, instance=instance, at=at)


def _envelope(  # noqa: PLR0913  # its members
    name: str, job: str, data: Mapping[str, object], *, ident: str, instance: str, at: datetime
) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": ident,
        "source": f"/refresher/{instance}",
        "type": f"refresher.{name}",
        **({"subject": job} if job else {}),
        "time": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "datacontenttype": "application/json",
        "data": data,
    }


def written(told: Mapping[str, object]) -> bytes:
    """Return JSON in UTF-8."""
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def headers(ident: str, at: datetime, body: bytes, key: bytes | None) -> tuple[tuple[str, str], ...]:
    """Return the headers of one try, at `at`, to deliver `body`; without a `key` nothing is signed."""
    seconds = str(int(at.timestamp()))
    told = (("content-type", CONTENT_TYPE), ("webhook-id", ident), ("webhook-timestamp", seconds))
    if key is None:
        return told
    signed = hmac.digest(key, f"{ident}.{seconds}.".encode() + body, "sha256")
    return (*told, ("webhook-signature", f"v1,{base64.b64encode(signed).decode()}"))


def signing_key(secret: Secret) -> bytes:
    """Return the key that `secret` stands for: `whsec_` and base64, or a text as it is. Raises ValueError: why not."""
    text = secret.reveal()
    if not text.startswith(PREFIX):
        return text.encode(errors="surrogatepass")
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"what follows {PREFIX} is no base64") from None
    if not LEAST_KEY <= len(key) <= MOST_KEY:
        raise ValueError(f"what follows {PREFIX} must be {LEAST_KEY} to {MOST_KEY} bytes in base64, not {len(key)}")
    return key


def environment(
    hook: Hook, job: Job | None, *, instance: str, event: str, level: str = ""
) -> tuple[tuple[str, str], ...]:
    """Return the variables that a program finds: names and Vault paths, nothing secret."""
    return (
        ("REFRESHER_HOOK", hook.name),
        ("REFRESHER_INSTANCE", instance),
        ("REFRESHER_EVENT", event),
        ("REFRESHER_LEVEL", level),
        ("REFRESHER_JOB", "" if job is None else job.name),
        ("REFRESHER_PATHS", "" if job is None else " ".join(map(str, job.destinations))),
    )


def is_final(status: int) -> bool:
    """Whether a receiver that answers so means it: another try would come to the same."""
    return 300 <= status < 500 and status not in (408, 409, 425, 429)  # noqa: PLR2004  # HTTP

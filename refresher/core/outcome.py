"""How one walk of one job ended, and the events that tell of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from refresher.core.backoff import MALFORMED_ALERT, UNSURE_ALERT
from refresher.core.errors import AwaitedSecretError, StoreAmbiguousError, StoreError, StoreRefusedError
from refresher.core.events import Event, EventName, Field, Level
from refresher.core.job import Job
from refresher.core.model import Location
from refresher.core.policy import Held, Trouble
from refresher.core.published import StateRecord, stamp

OutcomeName: TypeAlias = Literal[
    "rotated", "fresh", "rejected_permanent", "rejected_transient", "rejected_malformed", "store_failed", "halted"
]


NOBODY: Final[Mapping[Location, str]] = MappingProxyType({})  # one for all outcomes: most leave no destination behind
# Failures that tell nothing against the host: a token came and was refused elsewhere, a program ended by itself.
_ANSWERED: Final = ("verify_refused", "exit_", "signal_", "not_started")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One walk's end. `error` is a code.

    `store_down`: Vault could not be reached, and nothing could be done; `away` are the clusters that did not answer,
    where that is known; `store_unsure`: nobody knows whether a write was made. `behind` are the destinations that lack
    the newest token, with the code of what failed there. `node`: which has the job in hand, where this one has not.
    """

    job: str
    outcome: OutcomeName
    reason: str
    error: str | None = None
    http_status: int | None = None
    retry_after: int | None = None
    expires_at: datetime | None = None
    renew_at: datetime | None = None
    places: tuple[Location, ...] = ()
    versions: tuple[int | None, ...] = ()
    duration_ms: int = 0
    store_down: bool = False
    store_unsure: bool = False
    away: frozenset[str] = frozenset()
    behind: Mapping[Location, str] = field(default_factory=lambda: NOBODY)
    node: str = ""

    @property
    def destinations(self) -> tuple[tuple[Location, int | None], ...]:
        """Its `places`, with the version that stands at each, None where that is not known."""
        return tuple(zip_longest(self.places, self.versions))

    @property
    def well(self) -> bool:
        """Whether readers are served as promised, at every destination."""
        return self.outcome in ("rotated", "fresh") and not self.behind

    @property
    def host_answered(self) -> bool | None:
        """Whether the token host answered; None: it was not asked, or the walk does not tell."""
        match self.outcome:
            case "rejected_transient":
                return (self.error or "").startswith(_ANSWERED)
            case "rejected_permanent" | "rejected_malformed":
                return True
            case "rotated":
                return True if self.reason not in ("unwritten", "put") else None
            case _:
                return None

    def as_json(self) -> dict[str, object]:
        """Return the object that `once --json` prints."""
        return {
            "job": self.job,
            "outcome": self.outcome,
            "reason": self.reason,
            "error": self.error,
            "http_status": self.http_status,
            "retry_after": self.retry_after,
            "expires_at": None if self.expires_at is None else stamp(self.expires_at),
            "renew_at": None if self.renew_at is None else stamp(self.renew_at),
            "destinations": [
                {"path": str(place), "version": version, "error": self.behind.get(place)}
                for place, version in self.destinations
            ],
            "duration_ms": self.duration_ms,
        }


def crashed(job: Job, expires_at: datetime | None, versions: tuple[int | None, ...]) -> Outcome:
    """Return the outcome of a walk that raised what it should not: nobody knows what came of it."""
    return replace(declined(job, "internal", versions), expires_at=expires_at)


def declined(job: Job, why: str, versions: tuple[int | None, ...] = ()) -> Outcome:
    """Return the outcome of a job with which nothing is done, by the code `why`."""
    places = job.destinations
    return Outcome(job=job.name, outcome="halted", reason=why, error=why, places=places, versions=versions)


def tell_rotated(outcome: Outcome, before: Trouble | None, details: dict[str, Field]) -> tuple[Event, ...]:
    """Return the event of a rotation that succeeded, and that the job recovered where it had been in trouble."""
    rotated = Event(name="rotated", job=outcome.job, fields=_fields(outcome) | details)
    return (*tell_recovered(outcome.job, before), rotated)


def tell_recovered(job: str, before: Trouble | None) -> tuple[Event, ...]:
    """Return the event that `before` is over; an outage of Vault is told once, for all jobs, and so is its end."""
    if before is None or before.kind == "outage":
        return ()
    fields: dict[str, Field] = {"error": before.error, "failures": before.count, "since": stamp(before.since)}
    return (Event(name="recovered", job=job, fields=fields),)


def tell_failed(
    outcome: Outcome, before: Trouble | None, after: Trouble, details: dict[str, Field]
) -> tuple[Event, ...]:
    """Return the one event of a failed walk: loud when the state changes, a debug line when it is the same again."""
    name, level = _alert(outcome, before, after)
    fields = _fields(outcome) | details | {"failures": after.count}
    return (Event(name=name, level=level, job=outcome.job, fields=fields),)


def tell_crashed(job: str, error: BaseException, trouble: Trouble) -> Event:
    """Return the alert of a walk that raised what it should not: the type and the place, never the text."""
    return replace(tell_broken(error, trouble.count), job=job)


def tell_broken(error: BaseException, failures: int) -> Event:
    """Return the alert of a part that raised what it should not, for the time `failures` in a row."""
    trace, where = error.__traceback__, ""
    while trace is not None:
        where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    fields: dict[str, Field] = {"error": "internal", "type": type(error).__name__, "where": where, "failures": failures}
    return Event(name="failing", level="error" if failures == 1 else "debug", fields=fields)


def left_behind(job: str, place: Location, error: StoreError, before: Trouble | None, after: Trouble) -> Event:
    """Return the event that a destination did not take the token that others have: loud when its trouble is news.

    A Vault that is away is told of once, for all jobs; a write of unknown end when it is so for the third time.
    """
    quiet = after.kind == "outage" or (before is not None and before.error == after.error)
    if isinstance(error, StoreAmbiguousError):
        quiet = after.count != UNSURE_ALERT
    level: Level = "debug" if quiet else "error" if isinstance(error, StoreRefusedError) else "warning"
    fields: dict[str, Field] = {"path": str(place), "error": error.code, "failures": after.count, "why": str(error)}
    return Event(name="store_failed", level=level, job=job, fields=fields)


def tell_caught_up(job: str, place: Location, before: Trouble) -> tuple[Event, ...]:
    """Return the event that a destination is served again."""
    return tuple(replace(one, fields={"path": str(place), **one.fields}) for one in tell_recovered(job, before))


def deleted_early(job: Job, place: Location, when: datetime) -> Event:
    """Return the alert that Vault will delete what was just written: before the token expires, or the state record."""
    what = "the state record, and the refresh token in it" if place == job.state else "it before the token expires"
    why = f"Vault deletes {what}: lift delete_version_after of the mount or the path; until then it is renewed in time"
    fields: dict[str, Field] = {"error": "deleted_early", "path": str(place), "deletion_time": stamp(when), "why": why}
    return Event(name="store_failed", level="error", job=job.name, fields=fields)


def deleted(job: str, place: Location) -> Event:
    """Return the alert that somebody deleted the token at a path that is ours."""
    fields: dict[str, Field] = {"error": "deleted", "path": str(place), "why": "somebody deleted it: it is renewed"}
    return Event(name="foreign_change", level="error", job=job, fields=fields)


def unmanaged(job: Job) -> Event:
    """Return the alert that something stands at a path that was never ours, so that it is not touched."""
    paths = tuple(str(place) for place in job.destinations)
    why = "a secret that refresher did not write stands here: choose another path, or set adopt = true once"
    fields: dict[str, Field] = {"error": "unmanaged", "path": paths[0] if len(paths) == 1 else paths, "why": why}
    return Event(name="latched", level="error", job=job.name, fields=fields)


def foreign_change(job: str, place: Location, held: Held) -> Event:
    """Return the alert that somebody else wrote to a path that is ours."""
    fields: dict[str, Field] = {"path": str(place), "version": held.version}
    if held.expires_at is not None:
        fields["honoured_until"] = stamp(held.expires_at)
    return Event(name="foreign_change", level="error", job=job, fields=fields)


def grant_unknown(job: Job, record: StateRecord, *, replayed: bool = False) -> Event:
    """Return the alert that a grant may have been spent by somebody who did not live to tell.

    `replayed`: the catalogue says that its refresh token may be sent again.
    """
    if job.grant == "refresh_token" and replayed:
        how = "the refresh token is sent again at once, which its provider allows"
    elif job.grant == "refresh_token":
        how = "the refresh token is sent again only when readers' token is about to expire, which may end the consent"
    else:
        how = "the full grant is taken"
    why = f"it ended between request and answer, so whether the grant was spent is not known: {how}"
    fields: dict[str, Field] = {"path": str(job.state), "generation": record.generation, "holder": record.holder}
    return Event(name="grant_unknown", level="error", job=job.name, fields=fields | {"why": why})


def went_back(job: Job, record: StateRecord, newest: int) -> Event:
    """Return the alert that the state record is older than one that was seen before."""
    why = f"generation {newest} stood here before: was Vault restored from a snapshot? Its refresh token is not sent"
    fields: dict[str, Field] = {"error": "restored", "path": str(job.state), "generation": record.generation}
    return Event(name="foreign_change", level="error", job=job.name, fields=fields | {"why": why})


def unjournalled(job: str, error: StoreError) -> Event:
    """Return the warning that an answer can't be kept on disk until Vault has it."""
    why = f"{error}: rotations go on, but a crash before Vault has the answer loses it"
    return Event(name="store_failed", level="warning", job=job, fields={"error": error.code, "why": why})


def _alert(outcome: Outcome, before: Trouble | None, after: Trouble) -> tuple[EventName, Level]:
    same = before is not None and (before.kind, before.error) == (after.kind, after.error)
    if outcome.outcome == "store_failed":
        # A leader that hangs is followed by another soon: that needs nobody.
        if after.count != UNSURE_ALERT if outcome.store_unsure else same or outcome.store_down:
            return "store_failed", "debug"
        return "store_failed", "warning" if outcome.error == AwaitedSecretError.code else "error"
    if after.kind == "permanent":
        known = same and before is not None and before.credential == after.credential  # another one refused is news
        return ("rotation_rejected", "debug") if known else ("latched", "error")
    first = after.count == 1
    if after.kind == "malformed":
        if after.count == MALFORMED_ALERT:
            return "failing", "error"
        return "rotation_rejected", "warning" if first else "debug"
    return ("failing", "warning") if first else ("rotation_rejected", "debug")


def _fields(outcome: Outcome) -> dict[str, Field]:
    """Return the outcome as log fields; empty ones are left out."""
    shown = outcome.as_json()
    del shown["job"], shown["destinations"]
    fields: dict[str, Field] = {name: value for name, value in shown.items() if isinstance(value, str | int)}
    paths = tuple(str(place) for place, _ in outcome.destinations)
    return fields | {"path": paths[0] if len(paths) == 1 else paths}

"""What a row and a job's page say in words: what stands there, what comes next, what failed and what to do."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from refresher.core import perishable
from refresher.core.facts import TroubleKind
from refresher.core.model import Rejected
from refresher.core.perishable import Perishable, is_soon
from refresher.core.shadow import Theirs
from refresher.core.spans import span
from refresher.core.view import JobView
from refresher.providers.explain import explain

_AWAY: Final = (
    "Vault does not take the token. refresher check --live names what is wrong with the login, the policy or the "
    "mount; where Vault is away nothing is to be done here: it goes on when Vault is back."
)
_AGAIN: Final = "It is tried again by itself. Where it lasts, ask the provider, or look at the way to it."
_ADVICE: Final[Mapping[TroubleKind, str]] = {
    "permanent": "The provider refuses what the job has. Mend the credential where it stands: it is read afresh at the "
    "next try, half a minute later at the most, and the job goes on by itself. A lost consent is had again by "
    "refresher authorize {job}.",
    "store": _AWAY,
    "outage": _AWAY,
    "transient": _AGAIN,
    "malformed": _AGAIN,
    "internal": "This is a defect of refresher: the log has its place. It is tried again by itself.",
}
_UNMANAGED: Final = (
    "A secret that refresher did not write stands at the path, or it was handed back. Choose another path, or set adopt"
    " = true once, and reload; what was handed back is taken again by refresher resume."
)
_DEAD: Final = "Readers find nothing alive. The log tells what happened; refresher check --live tries the way."


def advice(view: JobView, now: datetime) -> str:
    """Return what a person does about `view`; `""`: nothing."""
    if view.need(now) == "unmanaged":
        return _UNMANAGED
    if view.kind is not None:
        return _ADVICE[view.kind].format(job=view.name)
    return _DEAD if view.need(now) == "dead" else ""


def left(view: JobView, now: datetime) -> str:
    """Return how long the token lives on."""
    rest = view.left(now)
    if rest is not None:
        return f"{span(rest)} left" if rest > timedelta() else f"dead for {span(-rest)}"
    if view.alive is None:
        return "not seen yet"
    return "no end" if view.alive else "nothing there"


def beside(theirs: Theirs, now: datetime) -> str:
    """Return how the token stands that somebody else writes where the job is to write one day."""
    if theirs.expires_at is None:
        return {"missing": "nothing there", "unread": f"can't be read: {theirs.error}"}.get(
            theirs.standing, "no end known"
        )
    rest = theirs.expires_at - now
    words = [f"{span(rest)} left" if rest > timedelta() else f"dead for {span(-rest)}"]
    words += ["by its age"] if theirs.estimated else []
    words += ["less than promised"] if theirs.standing == "short" else []
    words += [f"has {', '.join(theirs.lacking)}, which this job does not write"] if theirs.lacking else []
    return ", ".join(words)


def coming(view: JobView, now: datetime) -> str:
    """Return when something is done next."""
    if view.renew_at is None:
        return "waits for you" if view.state in ("latched", "unmanaged") else "nothing planned"
    if view.state == "paused":
        return f"paused for {span(view.renew_at - now)}"
    if view.renew_at <= now:
        return "due now"
    return f"{'tried again' if view.failures else 'renewed'} in {span(view.renew_at - now)}"


def why(view: JobView, said: str) -> str:
    """Return what failed last; `said` is what the log said of it."""
    if not view.failures:
        return said if view.state == "unmanaged" else ""
    if said:
        return said
    if view.kind in ("store", "outage"):
        return f"{view.error}: Vault did not take it"
    if view.kind == "internal":
        return "internal: a defect of refresher"
    return explain(view.provider, Rejected(kind="transient", error=view.error, status=view.status))


def login(cluster: str, one: Perishable) -> str:
    """Return what is the matter with what refresher logs in to a cluster with."""
    ends = "" if one.ends_at is None else f" (it ends {one.ends_at:%Y-%m-%d %H:%M} UTC)"
    return f"Vault ({cluster}): {perishable.why(one)}{ends}"


def ending(view: JobView, now: datetime) -> str:
    """Return which of what stands behind the job somebody is told of that it comes to an end; `""`: none."""
    soon = [one for one in view.secrets if one.ends_at is not None and is_soon(one, now)]
    return "; ".join(f"{one.what.replace('_', ' ')} ends {one.ends_at:%Y-%m-%d}" for one in soon)

"""After a failure: what it means and when to try again (decision 5 of the design).

Three roads, by what the provider said, and a fourth for Vault:
transient   1 s doubling to 5 min; Retry-After is a floor (the reader clamps it to 1 h); sooner while expiry is near.
malformed   as transient; an alert after three in a row.
permanent   again after a quarter of the life left, 1 to 15 min; but a refused refresh token or password is not
            sent again until it changes: repeats revoke families and lock accounts.
store       1 s doubling to 5 s: a try that Vault cannot take spends nothing at the provider.
"""

from datetime import datetime, timedelta
from typing import Final

from refresher.core.due import derived
from refresher.core.job import GrantName, Job
from refresher.core.model import Rejected
from refresher.core.policy import Trouble, TroubleKind

FIRST: Final = timedelta(seconds=1)
LONGEST: Final = timedelta(minutes=5)
LONGEST_STORE: Final = timedelta(seconds=5)
SLOW: Final = timedelta(minutes=15)
SLOW_LEAST: Final = timedelta(minutes=1)
URGENT_LEAST: Final = timedelta(seconds=10)
MALFORMED_ALERT: Final = 3
UNSURE_ALERT: Final = 3  # writes of which nobody knows whether they were made, each tried for some 10 s
JITTER: Final = 0.2  # the upper fifth

# Refusals of the client or of the endpoint: the user's password or the refresh token was not what was judged.
NOT_THE_GRANT: Final = frozenset({"invalid_client", "unauthorized_client", "http_404", "http_405", "http_501"})


def backoff(count: int, longest: timedelta, part: float) -> timedelta:
    """Return the wait after failure number `count` (from 1); `part` in [0, 1) places it in the upper fifth."""
    whole: timedelta = min(FIRST * 2 ** min(count - 1, 30), longest)
    return whole * (1 - JITTER * (1 - part))


def spends_itself(grant: GrantName, rejected: Rejected) -> bool:
    """Whether `rejected` speaks of a password or refresh token, which is then not sent again until it changes."""
    redirected = rejected.error.startswith("http_3")
    sent_again_as_it_was = grant in ("password", "refresh_token")  # what is signed or exchanged is new at each try
    return sent_again_as_it_was and rejected.error not in NOT_THE_GRANT and not redirected


def after_rejection(  # noqa: PLR0913  # each is a fact of its own
    rejected: Rejected,
    *,
    job: Job,
    grant: GrantName,
    before: Trouble | None,
    now: datetime,
    expires_at: datetime | None,
    credential: str,
    holder: str,
) -> Trouble:
    """Return the trouble that `rejected` makes of `before`; `expires_at` is that of the token readers hold now."""
    count, since = _counted(before, rejected.kind, now)
    part = derived(holder, job.name, rejected.kind, count)
    left = max(expires_at - now, timedelta()) if expires_at is not None else timedelta()
    wait: timedelta | None
    if rejected.kind == "permanent":
        wait = max(min(SLOW, left / 4), SLOW_LEAST) if left else SLOW
        if spends_itself(grant, rejected):
            wait = None
    else:
        wait = backoff(count, LONGEST, part)
        if left:
            wait = min(wait, max(left / 3, URGENT_LEAST))
        if rejected.retry_after is not None:
            wait = max(wait, timedelta(seconds=rejected.retry_after))
    return Trouble(
        kind=rejected.kind,
        error=rejected.error,
        status=rejected.status,
        count=count,
        since=since,
        retry_at=None if wait is None else now + wait,
        retry_after=rejected.retry_after,
        credential=credential,
    )


def after_store(  # noqa: PLR0913  # each is a fact of its own
    error: str,
    *,
    status: int,
    job: Job,
    before: Trouble | None,
    now: datetime,
    holder: str,
    refused: bool = False,
    away: bool = False,
) -> Trouble:
    """Return the trouble of a job that Vault could not serve.

    `refused`: a person must mend Vault's side. `away`: Vault could not be reached, which concerns every job.
    """
    kind: TroubleKind = "outage" if away else "store"
    count, since = _counted(before, kind, now)
    longest = LONGEST if refused else LONGEST_STORE
    wait = backoff(count, longest, derived(holder, job.name, "store", count))
    return Trouble(kind=kind, error=error, status=status, count=count, since=since, retry_at=now + wait)


def after_crash(error: BaseException, *, job: Job, before: Trouble | None, now: datetime, holder: str) -> Trouble:
    """Return the trouble of a job whose walk raised what it should not: a bug, tried again as a transient failure."""
    count, since = _counted(before, "internal", now)
    wait = backoff(count, LONGEST, derived(holder, job.name, "internal", count))
    return Trouble(kind="internal", error=type(error).__name__, count=count, since=since, retry_at=now + wait)


def _counted(before: Trouble | None, kind: TroubleKind, now: datetime) -> tuple[int, datetime]:
    if before is None or before.kind != kind:
        return 1, now if before is None else before.since
    return before.count + 1, before.since

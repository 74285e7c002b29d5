"""A day of history in a ledger, as a daemon would have left it: for pages that have something to show at once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from refresher.state import tables
from refresher.state.tables import Attempt

HOUR = timedelta(hours=1)
EVERY = timedelta(minutes=50)
OUTAGE = timedelta(minutes=3)


def write(folder: Path, names: list[str], *, gap_in: str = "") -> tuple[datetime, datetime] | None:
    """Write it to the state directory `folder`; return when readers of `gap_in` found nothing alive."""
    folder.mkdir(mode=0o700, exist_ok=True)
    now, gap = datetime.now(UTC).replace(microsecond=0), None
    items = []
    for name in names:
        at, version = now - timedelta(hours=25), 1
        while at < now - timedelta(minutes=20):
            items.append(_rotated(name, at, version))
            if name == gap_in and gap is None and at > now - 6 * HOUR:
                gap = at + HOUR, at + HOUR + OUTAGE
                items.append(_failed(name, at + HOUR - timedelta(minutes=2)))
                at = gap[1]
            else:
                at += EVERY
            version += 1
    database = tables.connect(tables.path_of(folder, "default"))
    with database:
        tables.insert(database, [(one.job, one, "{}") for one in sorted(items, key=lambda one: one.at)])
    database.close()
    return gap


def _rotated(name: str, at: datetime, version: int) -> Attempt:
    return Attempt(
        job=name,
        at=at.timestamp(),
        outcome="rotated",
        reason="due",
        error=None,
        http_status=None,
        retry_after=None,
        expires_at=(at + HOUR).timestamp(),
        version=version,
        path=f"secret/tokens/{name}",
        duration_ms=0,
    )


def _failed(name: str, at: datetime) -> Attempt:
    return Attempt(
        job=name,
        at=at.timestamp(),
        outcome="rejected_transient",
        reason="due",
        error="http_503",
        http_status=503,
        retry_after=None,
        expires_at=(at + timedelta(minutes=2)).timestamp(),
        version=1,
        path=f"secret/tokens/{name}",
        duration_ms=20,
    )

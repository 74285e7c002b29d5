"""[scheduler]: from the tables to what the nodes of a fleet share."""

from collections.abc import Mapping
from datetime import timedelta
from importlib.util import find_spec
from typing import Final
from urllib.parse import parse_qs, urlsplit

from refresher.config import words
from refresher.config.mistakes import Findings, Reading
from refresher.config.models import File
from refresher.config.request_keys import EXEC
from refresher.core.job import Job
from refresher.core.settings import Postgres
from refresher.providers import catalogue

TABLE: Final = "scheduler"
LIBRARIES: Final = ("pgqueuer", "asyncpg")
REQUEST: Final = timedelta(seconds=20)  # the deadline of one request for a token
NAMED: Final = 3  # jobs in one line


def build(main: Reading[File], jobs: Mapping[str, Job], findings: Findings) -> Postgres | None:
    """Return what the nodes share; None for one machine alone."""
    model, file = main.model.scheduler, main.file
    table = model.postgres
    if model.kind == "local":
        if table is not None:
            findings.odd(file, TABLE, "postgres", 'is not used while kind is "local"')
        return None
    if not all(map(find_spec, LIBRARIES)):
        findings.wrong(file, TABLE, "kind", '"postgres" needs more libraries: pip install "refresher[cluster]"')
    if table is None or table.dsn is None:
        if not any(place[:2] == (TABLE, "postgres") for place in main.bad):
            findings.wrong(file, TABLE, "postgres.dsn", 'is missing: kind "postgres" needs to know where it is')
        return None
    if table.password is not None and table.password.kind == "vault":
        why = "must not stand in Vault: a node must reach the others while Vault is away; take a file or a credential"
        findings.wrong(file, TABLE, "postgres.password", why)
    if _is_open(table.dsn):
        why = "does not check whom it speaks to: add ?sslmode=verify-full"
        findings.odd(file, TABLE, "postgres.dsn", why)
    settings = Postgres(**{name: getattr(table, name) for name in type(table).model_fields})
    _check_spans(settings, jobs, file, findings)
    known = (*catalogue(), EXEC)
    for name in settings.per_provider:
        if name not in known:
            why = f"there is no provider {name!r}{words.hint(name, known)}"
            findings.wrong(file, TABLE, "postgres.per_provider", why)
    return settings


def _is_open(dsn: str) -> bool:
    """Whether the connection leaves the machine, to somebody whose certificate is not looked at."""
    parts = urlsplit(dsn)
    asked = parse_qs(parts.query)
    host = (parts.hostname or asked.get("host", [""])[0]) or "/"
    return not host.startswith("/") and not words.is_loopback(host) and asked.get("sslmode") != ["verify-full"]


def _check_spans(settings: Postgres, jobs: Mapping[str, Job], file: str, findings: Findings) -> None:
    if settings.poll >= settings.lease:
        findings.wrong(file, TABLE, "postgres.poll", f"must be shorter than lease ({words.spell(settings.lease)})")
    if settings.guard_idle <= settings.lease:
        why = (
            f"must be longer than lease ({words.spell(settings.lease)}): who is frozen is to keep its locks beyond that"
        )
        findings.wrong(file, TABLE, "postgres.guard_idle", why)
    failover = settings.lease + settings.poll + REQUEST
    margins = {name: job.renew_before for name, job in jobs.items() if job.renew_before is not None}
    short = [name for name, one in margins.items() if one.duration is not None and one.duration < failover]
    if short:
        more = f" and {len(short) - NAMED} more" if len(short) > NAMED else ""
        findings.odd(
            file,
            TABLE,
            "postgres.lease",
            f"with poll and a request a lost node costs {words.spell(failover)}, which is longer than renew_before of "
            f"{', '.join(short[:NAMED])}{more}",
        )

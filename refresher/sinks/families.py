"""The series of /metrics that are made anew at each scrape, from what stands at that moment."""

import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

import refresher
from refresher.core.perishable import Perishable, is_soon
from refresher.core.view import STATES, FleetView, JobView


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterView:
    """One Vault: whether it can be reached, and when our token there ends (None: never, or none is held).

    `login`: what we log in with, where that is known.
    """

    name: str
    reachable: bool
    token_expires_at: datetime | None
    login: Perishable | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Everything that is looked at when Prometheus asks.

    `oldest_due_s`: how late the most overdue job is. `fleet`: the nodes, where there are several.
    """

    now: datetime
    jobs: Iterable[JobView]
    clusters: Iterable[ClusterView]
    oldest_due_s: float
    swept_s: float
    journal_entries: int
    journal_bytes: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    fleet: FleetView | None = None


def counts(
    jobs: list[JobView],
    rotations: Mapping[str, int],
    attempts: Mapping[tuple[str, str, str], int],
    events: Mapping[tuple[str, str], int],
) -> Iterator[Metric]:
    """Yield what was counted, by job and by event."""
    rotated = CounterMetricFamily("refresher_rotations", "Tokens written, by job.", labels=("name",))
    for job in jobs:  # from the start, so that the first one is an increase
        rotated.add_metric((job.name,), rotations.get(job.name, 0))
    yield rotated
    tried = CounterMetricFamily(
        "refresher_attempts",
        "Attempts at a rotation, by job, outcome and class of error.",
        labels=("name", "outcome", "error_class"),
    )
    for labels, count in sorted(attempts.items()):
        tried.add_metric(labels, count)
    yield tried
    told = CounterMetricFamily("refresher_events", "Events told, by name and level.", labels=("event", "level"))
    for both, count in sorted(events.items()):
        told.add_metric(both, count)
    yield told


def of_jobs(jobs: list[JobView]) -> Iterator[Metric]:
    """Yield how each job stands."""

    def gauge(name: str, text: str, values: Iterable[tuple[str, float | None]]) -> Metric:
        family = GaugeMetricFamily(f"refresher_{name}", text, labels=("name",))
        for job, value in values:
            if value is not None:
                family.add_metric((job,), value)
        return family

    yield gauge(
        "token_expiry_timestamp_seconds",
        "When the token that readers find expires; absent where none is known.",
        ((job.name, _epoch(job.expires_at)) for job in jobs),
    )
    yield gauge(
        "token_issued_timestamp_seconds",
        "When that token was issued.",
        ((job.name, _epoch(job.issued_at)) for job in jobs),
    )
    yield gauge(
        "next_renewal_timestamp_seconds",
        "When the job is renewed, or tried again, next; absent while a person must act first.",
        ((job.name, _epoch(job.renew_at)) for job in jobs),
    )
    yield gauge(
        "token_promised_seconds",
        "The life that readers may count on.",
        ((job.name, None if job.promised is None else job.promised.total_seconds()) for job in jobs),
    )
    yield gauge(
        "token_alive",
        "1 where readers find a live token at every path, 0 where they do not; absent where nobody has looked yet.",
        ((job.name, None if job.alive is None else float(job.alive)) for job in jobs),
    )
    yield gauge(
        "consecutive_failures",
        "Failed attempts since the last one that succeeded.",
        ((job.name, float(job.failures)) for job in jobs),
    )
    states = GaugeMetricFamily("refresher_job_state", "1 for the state that the job is in.", labels=("name", "state"))
    for job in jobs:
        for state in STATES:
            states.add_metric((job.name, state), float(job.state == state))
    yield states


def of_secrets(reading: Reading, jobs: list[JobView]) -> Iterator[Metric]:
    """Yield when what stands behind the jobs, and our logins, come to an end."""
    logins = [(one.name, one.login) for one in reading.clusters if one.login is not None]
    behind = [(job.name, secret) for job in jobs for secret in job.secrets]
    for name, label, what, found in (
        ("secret", "name", "what stands behind a job (client secret, refresh token, certificate)", behind),
        ("vault_login", "cluster", "what refresher logs in to Vault with", logins),
    ):
        expiry = GaugeMetricFamily(
            f"refresher_{name}_expiry_timestamp_seconds",
            f"When {what} ends; absent where that is not known.",
            labels=(label, "secret"),
        )
        soon = GaugeMetricFamily(
            f"refresher_{name}_expiring",
            f"1 where {what} is so near to its end that it was told of, or is gone; else 0.",
            labels=(label, "secret"),
        )
        for owner, one in found:
            if (ends := _epoch(one.ends_at)) is not None:
                expiry.add_metric((owner, one.what), ends)
            soon.add_metric((owner, one.what), float(is_soon(one, reading.now)))
        yield expiry
        yield soon


def of_daemon(reading: Reading, jobs: int) -> Iterator[Metric]:
    """Yield how the daemon itself stands, and its clusters."""

    def gauge(name: str, text: str, value: float) -> Metric:
        return GaugeMetricFamily(f"refresher_{name}", text, value=value)

    yield gauge("jobs", "Jobs in care.", jobs)
    yield gauge(
        "oldest_due_seconds", "How long the most overdue job has been due; 0 where none is.", reading.oldest_due_s
    )
    yield gauge(
        "sweep_age_seconds", "How long ago every job was last looked after; over 60 is a standstill.", reading.swept_s
    )
    yield gauge("journal_entries", "Answers on disk that are not in Vault yet, or under way.", reading.journal_entries)
    yield gauge("journal_bytes", "What the journal takes on disk.", reading.journal_bytes)
    reachable = GaugeMetricFamily(
        "refresher_vault_up", "1 where Vault can be reached, by cluster.", labels=("cluster",)
    )
    expiry = GaugeMetricFamily(
        "refresher_vault_token_expiry_timestamp_seconds",
        "When refresher's own Vault token ends; absent where it has no end, or there is none.",
        labels=("cluster",),
    )
    for cluster in reading.clusters:
        reachable.add_metric((cluster.name,), float(cluster.reachable))
        if (ends := _epoch(cluster.token_expires_at)) is not None:
            expiry.add_metric((cluster.name,), ends)
    yield reachable
    yield expiry
    dropped = CounterMetricFamily(
        "refresher_dropped",
        "What was told and got lost: log lines, attempts for the ledger, events for a sink that failed.",
        labels=("what",),
    )
    for what, count in sorted(reading.dropped.items()):
        dropped.add_metric((what,), count)
    yield dropped
    build = GaugeMetricFamily("refresher_build_info", "Always 1.", labels=("version", "python"))
    build.add_metric((refresher.__version__, platform.python_version()), 1)
    yield build


def of_fleet(fleet: FleetView | None) -> Iterator[Metric]:
    """Yield how the nodes stand, as this one sees them; nothing where there is one machine."""
    if fleet is None:
        return
    yield GaugeMetricFamily(
        "refresher_scheduler_up",
        "1 where the PostgreSQL that the nodes share their jobs by can be reached; absent on a machine of its own.",
        value=float(not fleet.away),
    )
    nodes = GaugeMetricFamily(
        "refresher_nodes",
        "Nodes of the fleet as this one sees them; absent where it can't see them.",
        labels=("state",),
    )
    if not fleet.away:
        nodes.add_metric(("alive",), len(fleet.alive))
        nodes.add_metric(("gone",), len(fleet.gone))
    yield nodes


def _epoch(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()

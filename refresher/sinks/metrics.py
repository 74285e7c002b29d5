"""/metrics: what Prometheus is told, by prometheus-client on a registry of its own.

Rules of this module:
- Labels are names of jobs (`name`: `job` is Prometheus' own) and of clusters, and words of ours: no text of a
  provider, no URL, no path, no secret.
- What is told of a job ends with the job: its series are gone from the next scrape on.
- Counts begin anew with the process, as Prometheus expects.

docs/reference/metrics.md names every series; a test holds it to this module.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from refresher.core.events import Event
from refresher.sinks import families
from refresher.sinks.families import Reading

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
REQUEST_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)  # the last is the request deadline
VAULT_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)  # the last is Vault's deadline
LATENESS_S: Final = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0)  # 30: a lost ring, found by the sweep

# The error code of a refusal, or of no reply at all, as one of few words; the others by outcome.
_CLASSES: Final[tuple[tuple[tuple[str, ...], str], ...]] = (
    (("invalid_client", "unauthorized_client", "http_401", "http_403"), "client"),
    (("invalid_grant", "no_refresh_token"), "grant"),
    (("http_429", "slow_down"), "throttled"),
    (("transport", "deadline", "discovery", "http_407"), "network"),
    (("exit_", "signal_", "not_started"), "program"),
    (("verify_",), "verify"),
)
_BY_OUTCOME: Final[Mapping[str, str]] = {
    "rotated": "",
    "rejected_permanent": "request",
    "rejected_transient": "server",
    "rejected_malformed": "reply",
    "store_failed": "store",
}


class Metrics:
    """ports.Sink that counts, and what renders the counts. `process`: with series about this process."""

    def __init__(self, *, process: bool = True) -> None:
        self._lock = threading.Lock()  # `render` runs beside the loop
        self._rotations: Counter[str] = Counter()
        self._attempts: Counter[tuple[str, str, str]] = Counter()
        self._events: Counter[tuple[str, str]] = Counter()
        disable_created_metrics()  # type: ignore[no-untyped-call]  # promtool and people want none of them
        self._registry = registry = CollectorRegistry()
        if process:
            ProcessCollector(registry=registry)
        self._request = Histogram(
            "refresher_request_duration_seconds",
            "How long a token endpoint, or a provider's other address, took to answer.",
            buckets=REQUEST_S,
            registry=registry,
        )
        self._vault = Histogram(
            "refresher_vault_request_duration_seconds",
            "How long Vault took to answer one request.",
            ("operation",),
            buckets=VAULT_S,
            registry=registry,
        )
        for operation in ("login", "read", "write"):
            self._vault.labels(operation)
        self._lateness = Histogram(
            "refresher_wakeup_lateness_seconds",
            "How long after its time a job was woken up.",
            buckets=LATENESS_S,
            registry=registry,
        )

    def tell(self, event: Event) -> None:
        """Count `event`."""
        outcome = event.fields.get("outcome")
        with self._lock:
            self._events[event.name, event.level] += 1
            if not event.job or not isinstance(outcome, str):
                return
            if outcome == "rotated":
                self._rotations[event.job] += 1
            if outcome not in ("fresh", "halted"):
                self._attempts[event.job, outcome, error_class(outcome, event.fields.get("error"))] += 1

    def go_on(self, text: str) -> None:
        """Count on from what an earlier process rendered. Raises ValueError: it is something else."""
        counted: Mapping[str, tuple[Counter[Any], tuple[str, ...]]] = {
            "refresher_rotations_total": (self._rotations, ("name",)),
            "refresher_attempts_total": (self._attempts, ("name", "outcome", "error_class")),
            "refresher_events_total": (self._events, ("event", "level")),
        }
        for sample in (sample for family in text_string_to_metric_families(text) for sample in family.samples):
            if sample.name in counted:
                counter, names = counted[sample.name]
                labels = tuple(sample.labels.get(name, "") for name in names)
                counter[labels if len(labels) > 1 else labels[0]] = int(sample.value)

    def timed(self, what: str, seconds: float) -> None:
        """Note how long something took (timed.Timer)."""
        if what == "request":
            self._request.observe(seconds)
        elif what == "wakeup":
            self._lateness.observe(seconds)
        else:
            self._vault.labels(what.removeprefix("vault_")).observe(seconds)

    def render(self, reading: Reading) -> bytes:
        """Return the text that Prometheus reads; it may be called in a thread, by one at a time."""
        registry = CollectorRegistry()
        registry.register(_Gauges(self._families(reading)))
        return generate_latest(self._registry) + generate_latest(registry)

    def _families(self, reading: Reading) -> list[Metric]:
        jobs = list(reading.jobs)
        names = {job.name for job in jobs}
        with self._lock:
            for counted in (self._rotations, self._attempts):
                for gone in [one for one in counted if (one if isinstance(one, str) else one[0]) not in names]:
                    del counted[gone]
            rotations, attempts, events = dict(self._rotations), dict(self._attempts), dict(self._events)
        return [
            *families.counts(jobs, rotations, attempts, events),
            *families.of_jobs(jobs),
            *families.of_secrets(reading, jobs),
            *families.of_daemon(reading, len(jobs)),
            *families.of_fleet(reading.fleet),
        ]


class _Gauges:
    """A collector of families that are made already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def error_class(outcome: str, error: object) -> str:
    """Return the class of an error code: one of few words, whatever the provider says; `""` for none."""
    if isinstance(error, str):
        if error.startswith("secret_"):
            return "secret"
        if outcome in ("rejected_permanent", "rejected_transient"):
            for beginnings, word in _CLASSES:
                if error.startswith(beginnings):
                    return word
    return _BY_OUTCOME.get(outcome, "internal")

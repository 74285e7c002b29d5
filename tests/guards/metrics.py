"""docs/reference/metrics.md is written from the code: `python -m tests.guards.metrics`."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

from prometheus_client.parser import text_string_to_metric_families

from refresher.core.events import Event
from refresher.core.perishable import JobWhat, LoginWhat, Perishable
from refresher.core.view import STATES, FleetView
from refresher.sinks.families import ClusterView, Reading
from refresher.sinks.metrics import _BY_OUTCOME, _CLASSES, Metrics
from tests.core.test_view import WELL

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"
NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
HEAD = """# Metrics

`GET /metrics` on [the status page's address](../how-to/monitoring.md), in the text format of Prometheus. Names and
labels are a contract: a later version adds to them and takes nothing away. `name` is a job's; a job that is removed
takes its series with it. No label holds a text of a provider, a URL, a path or a secret. `process_*` are those that
Prometheus' libraries share.

| series | type | labels | meaning |
| --- | --- | --- | --- |
"""


def text() -> str:
    """Return /metrics with every series that there is."""
    metrics = Metrics()
    metrics.tell(Event(name="rotated", job="crm", fields={"outcome": "rotated"}))
    for what in ("request", "vault_read", "wakeup"):
        metrics.timed(what, 0.01)
    reading = Reading(
        now=NOW,
        jobs=[replace(WELL, secrets=(Perishable(what="client_secret", ends_at=NOW + timedelta(days=90)),))],
        clusters=[
            ClusterView(
                name="default",
                reachable=True,
                token_expires_at=NOW + timedelta(hours=1),
                login=Perishable(what="secret_id", ends_at=NOW + timedelta(days=90)),
            )
        ],
        oldest_due_s=0.0,
        swept_s=1.0,
        journal_entries=0,
        journal_bytes=0,
        dropped={"log_lines": 0},
        fleet=FleetView(alive=("host-1", "host-2"), gone=("host-3",)),
    )
    return metrics.render(reading).decode()


def page() -> str:
    lines = []
    for family in sorted(text_string_to_metric_families(text()), key=lambda one: one.name):
        if not family.name.startswith("refresher_"):
            continue
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
        shown = ", ".join(f"`{label}`" for label in labels)
        lines.append(f"| `{name}` | {family.type} | {shown} | {family.documentation} |\n")
    classes = sorted({word for _, word in _CLASSES} | set(_BY_OUTCOME.values()) | {"secret", "internal"} - {""})
    words = {
        "state": (*STATES, "alive", "gone"),
        "outcome": tuple(_BY_OUTCOME),
        "error_class": tuple(classes),
        "operation": ("login", "read", "write"),
        "secret": (*get_args(JobWhat), *get_args(LoginWhat)),
        "what": ("attempts", "events", "hook_events", "log_lines"),
    }
    tail = "".join(f"| `{label}` | {', '.join(f'`{one}`' for one in ones)} |\n" for label, ones in words.items())
    more = "\n## Labels\n\n| label | values |\n| --- | --- |\n" + tail
    note = "\n`error_class` is empty where nothing failed. [The log](events.md) has the error's code.\n"
    return HEAD + "".join(lines) + more + note


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")

"""What is counted, and that nothing of it grows without end or tells a secret."""

from dataclasses import replace

import pytest

from refresher.core.events import Event
from refresher.sinks import Fanout
from refresher.sinks.families import ClusterView, Reading
from refresher.sinks.metrics import Metrics, error_class
from tests.core.builders import NOW
from tests.core.test_view import WELL


def render(metrics: Metrics, *jobs, **more) -> str:
    usual = {"clusters": (), "oldest_due_s": 0.0, "swept_s": 0.0, "journal_entries": 0, "journal_bytes": 0}
    return metrics.render(Reading(now=NOW, jobs=jobs, **usual | more)).decode()


def walked(outcome: str, job: str = "crm", **fields) -> Event:
    return Event(name="rotated", job=job, fields={"outcome": outcome, **fields})


def test_rotations_and_failures_are_counted_by_job_and_class():
    metrics = Metrics()
    assert 'refresher_rotations_total{name="crm"} 0.0' in render(metrics, WELL), "so that the first is an increase"
    for event in (walked("rotated"), walked("rejected_transient", error="http_503"), walked("fresh"), walked("halted")):
        metrics.tell(event)
    text = render(metrics, WELL)
    assert 'refresher_rotations_total{name="crm"} 1.0' in text
    assert 'refresher_attempts_total{error_class="",name="crm",outcome="rotated"} 1.0' in text
    assert 'refresher_attempts_total{error_class="server",name="crm",outcome="rejected_transient"} 1.0' in text
    assert text.count("refresher_attempts_total{") == 2
    assert 'refresher_events_total{event="rotated",level="info"} 4.0' in text


def test_a_job_that_is_gone_takes_its_series_with_it():
    metrics = Metrics()
    other = replace(WELL, name="other")
    for job in ("crm", "other"):
        metrics.tell(walked("rotated", job))
    assert 'name="other"' in render(metrics, WELL, other)
    assert 'name="other"' not in render(metrics, WELL)
    assert 'refresher_rotations_total{name="other"} 0.0' in render(metrics, WELL, other), "it begins anew"


def test_many_jobs_that_come_and_go_leave_nothing_behind():
    metrics = Metrics()
    for number in range(2000):
        metrics.tell(walked("rejected_permanent", f"job-{number}", error=f"odd_{number}"))
    size = len(render(metrics, WELL))
    assert not metrics._attempts
    assert size < 20_000


@pytest.mark.parametrize(
    ("outcome", "error", "word"),
    [
        ("rotated", None, ""),
        ("rejected_permanent", "invalid_client", "client"),
        ("rejected_permanent", "invalid_grant", "grant"),
        ("rejected_permanent", "invalid_scope", "request"),
        ("rejected_transient", "http_429", "throttled"),
        ("rejected_transient", "http_503", "server"),
        ("rejected_transient", "deadline", "network"),
        ("rejected_transient", "exit_3", "program"),
        ("rejected_transient", "verify_refused", "verify"),
        ("rejected_malformed", "deadline", "reply"),
        ("store_failed", "transport", "store"),
        ("store_failed", "secret_unreadable", "secret"),
        ("store_failed", None, "store"),
        ("something_new", 7, "internal"),
    ],
)
def test_an_error_is_of_one_of_few_classes(outcome, error, word):
    assert error_class(outcome, error) == word


def test_how_a_job_stands():
    text = render(Metrics(), WELL)
    (line,) = [one for one in text.splitlines() if one.startswith("refresher_token_expiry_timestamp_seconds{")]
    assert float(line.split()[1]) == WELL.expires_at.timestamp()
    assert 'refresher_job_state{name="crm",state="fresh"} 1.0' in text
    assert 'refresher_job_state{name="crm",state="latched"} 0.0' in text
    assert 'refresher_token_promised_seconds{name="crm"} 600.0' in text
    assert 'refresher_token_alive{name="crm"} 1.0' in text


def test_what_is_not_known_is_absent():
    unseen = replace(WELL, alive=None, expires_at=None, issued_at=None, renew_at=None, promised=None)
    text = render(Metrics(), unseen, clusters=[ClusterView(name="eu", reachable=False, token_expires_at=None)])
    for name in ("token_alive", "token_expiry_timestamp_seconds", "next_renewal_timestamp_seconds"):
        assert f"refresher_{name}{{" not in text
    assert 'refresher_vault_up{cluster="eu"} 0.0' in text
    assert "refresher_vault_token_expiry_timestamp_seconds{" not in text


def test_how_long_things_took():
    metrics = Metrics()
    for what in ("request", "vault_write", "vault_login", "wakeup"):
        metrics.timed(what, 0.3)
    text = render(metrics, WELL)
    assert 'refresher_request_duration_seconds_bucket{le="0.5"} 1.0' in text
    assert 'refresher_vault_request_duration_seconds_bucket{le="0.25",operation="write"} 0.0' in text
    assert 'refresher_vault_request_duration_seconds_count{operation="login"} 1.0' in text
    assert "refresher_wakeup_lateness_seconds_sum 0.3" in text


def test_one_more_sink_hears_what_comes_from_then_on():
    first, second = Metrics(), Metrics()
    fanout = Fanout(first)
    fanout.tell(walked("rotated"))
    fanout.add(second)
    fanout.tell(walked("rotated"))
    assert (first._rotations["crm"], second._rotations["crm"]) == (2, 1)

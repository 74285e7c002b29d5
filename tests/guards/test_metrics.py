"""docs/reference/metrics.md is what the code says; rules, dashboard and runbooks name nothing that is not there."""

import json
import re

from prometheus_client.parser import text_string_to_metric_families

from tests.guards import metrics

ROOT = metrics.PAGE.parents[2]
RULES = (ROOT / "monitoring" / "refresher.rules.yml").read_text("utf-8")
TESTS = (ROOT / "monitoring" / "refresher.rules.test.yml").read_text("utf-8")
DASHBOARD = json.loads((ROOT / "monitoring" / "grafana-dashboard.json").read_text("utf-8"))
GUIDE = (ROOT / "docs" / "how-to" / "monitoring.md").read_text("utf-8")
ALERTS = re.findall(r"- alert: (\w+)", RULES)
SERIES = {sample.name for family in text_string_to_metric_families(metrics.text()) for sample in family.samples}


def test_the_page_is_what_the_code_says():
    assert metrics.PAGE.read_text("utf-8") == metrics.page(), "python -m tests.guards.metrics writes it"


def test_rules_and_dashboard_ask_for_series_that_there_are():
    asked = re.findall(r"refresher_\w+", RULES)
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            asked += re.findall(r"refresher_\w+", target["expr"])
    assert len(set(asked)) > 12
    assert set(asked) <= SERIES


def test_every_alert_has_a_runbook_a_test_and_a_line_in_the_guide():
    runbooks = {path.stem for path in (ROOT / "docs" / "how-to" / "runbooks").glob("*.md")}
    assert set(ALERTS) == runbooks
    assert len(ALERTS) == len(set(ALERTS))
    for alert in ALERTS:
        assert f"runbook_url: docs/how-to/runbooks/{alert}.md" in RULES
        assert f"[{alert}](runbooks/{alert}.md)" in GUIDE
        assert f"alertname: {alert}\n        exp_alerts:\n          - exp_labels" in TESTS, f"{alert} is seen to speak"
        text = (ROOT / "docs" / "how-to" / "runbooks" / f"{alert}.md").read_text("utf-8")
        assert text.startswith(f"# {alert}: ")
        assert "## What to do" in text
        for name in re.findall(r"\]\((\w+\.md)\)", text):
            assert name.removesuffix(".md") in runbooks


def test_every_alert_is_provoked_for_real_in_a_nightly_test():
    text = (ROOT / "tests" / "e2e" / "test_alerts.py").read_text("utf-8")
    assert set(re.findall(r'"(Refresher\w+)"', text)) == set(ALERTS)


def test_every_label_is_of_a_few_words_or_a_name():
    families = list(text_string_to_metric_families(metrics.text()))
    labels = {label for family in families for sample in family.samples for label in sample.labels}
    assert labels == {
        "name", "state", "outcome", "error_class", "event", "level", "operation", "le", "cluster", "what", "secret",
        "version", "python",
    }  # fmt: skip

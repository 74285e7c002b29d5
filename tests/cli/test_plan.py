"""`refresher plan`: the chart, and what another file would change. What it prints of a Vault is in tests/e2e."""

import json

import pytest

from refresher.cli import plan
from refresher.cli._chart import chart
from refresher.standing import plan_rows
from tests.config.conftest import VAULT, job, write
from tests.core.test_forecast import HOUR, MINUTE, NOW, SECOND, a_forecast

RECORDS = "refresher/data/refresher/default"
PROVIDERS = "https://other.example.com/oauth/token"


@pytest.fixture
def diff(cli, tmp_path):
    """Return the lines of a diff between two texts; nothing but the two files is there."""

    def lines(old: str, new: str, *words: str) -> list[str]:
        ran = cli("plan", "--diff", write(tmp_path, new, "new.toml"), "-c", write(tmp_path, old), *words)
        assert (ran.code, ran.err) == (0, "")
        return ran.out.replace(f"{tmp_path}/", "").splitlines()

    return lines


def test_the_same_file_changes_nothing(diff):
    assert diff(VAULT + job(), VAULT + job()) == ["new.toml: changes nothing"]
    assert diff(VAULT + job(), VAULT + job(), "--json") == []


def test_a_new_job_and_the_rights_that_it_needs_first(diff):
    lines = diff(VAULT + job(), VAULT + job() + job("erp", path='"tokens/erp"'))
    assert lines == [
        "added     erp: is added, at secret/tokens/erp; a token is fetched at once",
        "rights    policy refresher: needs create, update, read on secret/data/tokens/erp: write it first",
        f"rights    policy refresher: needs create, update, read on {RECORDS}/erp: write it first",
        "rights    policy refresher-read-erp: needs read on secret/data/tokens/erp: write it first",
    ]


def test_a_job_that_is_gone_leaves_an_orphan_and_a_doubt(diff):
    lines = diff(VAULT + job() + job("erp", path='"tokens/erp"'), VAULT + job())
    assert lines == [
        "doubt     [jobs]: 1 of 2 jobs are gone (erp); where that is meant, send SIGUSR2 in place of SIGHUP",
        "removed   erp: is removed",
        "orphaned  secret/tokens/erp: nobody renews what stands there any more",
    ]


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"renew_before": '"5m"'}, "changed   crm: changes (renew_before)"),
        ({"token_url": f'"{PROVIDERS}"'}, "changed   crm: changes (token_url); a token is fetched at once"),
        ({"scope": '["a"]'}, "changed   crm: changes (scope); a token is fetched at once"),
        ({"client_secret": '"env:OTHER"'}, "changed   crm: changes (client_secret)"),
        ({"path": '"elsewhere"'}, "changed   crm: changes, goes to secret/elsewhere; a token is fetched at once"),
    ],
)
def test_what_is_fetched_again(diff, keys, line):
    assert diff(VAULT + job(), VAULT + job(**keys))[0] == line


def test_a_renamed_job_is_neither_new_nor_gone(diff):
    first, *rest = diff(VAULT + job(), VAULT + job("sales", moved_from='"crm"'))
    assert first == "renamed   sales: is the new name of what was before (crm)"
    assert {line.split()[0] for line in rest} <= {"rights"}


def test_another_vault_of_the_same_name_is_a_move(diff):
    lines = diff(VAULT + job(), VAULT.replace("vault.example", "vault2.example") + job())
    assert lines == ["changed   crm: changes, goes to secret/tokens/crm; a token is fetched at once"]


def test_what_takes_a_restart(diff):
    lines = diff(VAULT + job(), '[log]\nlevel = "debug"\n[instance]\nname = "blue"\n' + VAULT + job())
    assert lines[0] == "doubt     instance: another instance keeps other paths: it takes a restart"
    assert lines[-1] == "restart   log: counts from the next start on"


def test_on_another_cluster_the_policy_is_that_clusters(diff):
    eu = '[clusters.eu]\naddress = "https://eu.example.com"\nauth = { method = "token", token = "env:T" }\n'
    both = job(path=None, destinations='[{ path = "tokens/crm" }, { cluster = "eu", path = "crm" }]')
    lines = diff(VAULT + eu + job(), VAULT + eu + both)
    assert lines[0] == "changed   crm: changes, goes to eu:secret/crm; a token is fetched at once"
    assert (
        "rights    policy refresher of cluster eu: needs create, update, read on secret/data/crm: write it first"
        in lines
    )


def test_a_diff_as_json_is_a_line_for_each_change(diff):
    lines = [json.loads(one) for one in diff(VAULT + job(), VAULT + job(scope='["a"]'), "--json")]
    assert lines == [{"change": "changed", "name": "crm", "fetches": True, "paths": [], "keys": ["scope"], "text": ""}]


def test_a_mistake_in_the_new_file_is_78(cli, tmp_path):
    new = write(tmp_path, VAULT + job(grant='"none"'), "new.toml")
    ran = cli("plan", "--diff", new, "-c", write(tmp_path, VAULT + job()))
    assert ran.code == 78
    assert ran.err.startswith(f"{new}: [jobs.crm] grant: ")


def test_what_is_no_span_is_wrong_usage(cli, tmp_path):
    ran = cli("plan", "--for", "soon", "-c", write(tmp_path, VAULT + job()))
    assert (ran.code, ran.out) == (64, "")
    assert "--for must be a duration" in ran.err


def test_a_chart_shows_all_there_is_and_the_most():
    assert list(chart([0, 1, 16, 32], ["10:00", "", "", "13:00"])) == [
        "32 │      ██",
        "   │      ██",
        "   │    ████",
        " 0 │  ▁▁████",
        "   └10:00 13:00",
    ]
    assert list(chart([0, 0], ["", ""])) == ["0 │", "  │", "  │", "0 │", "  └"]


def test_the_load_is_a_chart_and_the_least_budget_is_named():
    ends = {"expires_at": NOW + HOUR, "every": HOUR}
    plans = [a_forecast("crm", at=NOW + 40 * MINUTE, **ends), a_forecast("erp", at=NOW + 50 * MINUTE, **ends)]
    lines = list(plan._load(plan_rows(plans, NOW, 24 * HOUR), NOW, 24 * HOUR))
    assert lines[0] == "rotations per 1h: 48 in 1d, 2 at most"
    assert lines[-2].endswith("└10:00       16:00       22:00       04:00")
    assert lines[-1] == "every job survives an outage of its provider, or of Vault, of 9m 50s (least: erp)"
    assert (
        next(iter(plan._load(plan_rows([a_forecast(at=None)], NOW, HOUR), NOW, HOUR)))
        == "rotations per 5m: 0 in 1h, 0 at most"
    )


def test_a_warning_is_told_once_for_all_that_it_is_of():
    short = [a_forecast(f"job-{number}", at=NOW, lifetime=3 * SECOND) for number in range(5)]
    (line,) = plan._warnings(plan_rows(short, NOW, HOUR))
    assert line == "warning: job-0, job-1, job-2 and 2 more: its tokens live 3s: nothing is promised to readers"

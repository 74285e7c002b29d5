"""Every job that a guide shows can be pasted: it is held to the program."""

import re
from pathlib import Path
from typing import get_args

import pytest

from refresher.config import load
from refresher.core.errors import ConfigError
from refresher.core.settings import AuthMethod

GUIDES = Path(__file__).parents[2] / "docs" / "how-to"
VAULT = """
[vault]
address = "https://vault.example.com:8200"
auth = { method = "token", token = "file:/run/secrets/vault-token" }
"""
EXAMPLES = [
    pytest.param(text, id=f"{page.stem}-{number}")
    for page in sorted(GUIDES.rglob("*.md"))
    for number, text in enumerate(re.findall(r"^```toml\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE))
    if text.startswith("[jobs.")
]
LOGINS = [
    pytest.param(text, id=f"{page.stem}-{number}")
    for page in sorted(GUIDES.rglob("*.md"))
    for number, text in enumerate(
        re.findall(r"^ *```toml\n(.*?)^ *```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    )
    if text.lstrip().startswith("[vault]")
]
JOB = """
[jobs.crm]
provider = "exec"
command = ["/bin/true"]
path = "tokens/crm"
"""
GRANTS = {"client_credentials", "password", "refresh_token", "jwt_bearer", "token_exchange"}
CLIENT_AUTHS = {"basic", "post", "client_secret_jwt", "private_key_jwt", "tls", "none"}


def jobs(text: str, folder: Path):
    file = folder / "jobs.toml"
    file.write_text(VAULT + text)
    file.chmod(0o600)
    return load(file).jobs.values()


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_has_no_mistake(text, tmp_path):
    assert jobs(text, tmp_path)


@pytest.mark.parametrize("text", LOGINS)
def test_a_login_has_no_mistake(text, tmp_path):
    file = tmp_path / "jobs.toml"
    file.write_text(text + JOB)
    file.chmod(0o600)
    assert load(file).clusters[""].auth


def test_the_teams_page_allows_what_it_shows_and_refuses_as_it_says(tmp_path):
    page = (GUIDES / "teams.md").read_text("utf-8")
    lists, team = re.findall(r"^```toml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    (said,) = re.findall(r"^teams/payments/ledger\.toml: .*$", page, re.MULTILINE)
    files = {"jobs.toml": lists + VAULT, "teams/payments/ledger.toml": team}
    (tmp_path / "teams/payments").mkdir(parents=True)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    assert set(load(tmp_path / "jobs.toml").jobs) == {"payments-ledger"}
    (tmp_path / "teams/payments/ledger.toml").write_text(team.replace("id.pay.example", "id.shop.example"))
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "jobs.toml")
    assert str(caught.value).replace(f"{tmp_path}/", "") == said


def test_every_way_to_log_in_is_shown():
    shown = {word for login in LOGINS for word in re.findall(r'method = "(\w+)"', login.values[0])}
    assert shown == set(get_args(AuthMethod))


def test_every_grant_and_every_way_to_prove_the_client_is_shown(tmp_path):
    shown = [job for example in EXAMPLES for job in jobs(example.values[0], tmp_path)]
    assert {job.grant for job in shown} == GRANTS
    assert {job.client_auth for job in shown} == CLIENT_AUTHS


def test_the_fleet_of_the_guide_has_no_mistake(tmp_path):
    page = (GUIDES / "cluster.md").read_text("utf-8")
    (text,) = re.findall(r"^ *```toml\n(.*?)^ *```", page, re.DOTALL | re.MULTILINE)
    file = tmp_path / "jobs.toml"
    file.write_text(text + VAULT + JOB)
    file.chmod(0o600)
    settings = load(file)
    assert settings.postgres is not None
    assert settings.postgres.per_provider == {"semansys": 20}
    assert settings.warnings == ()

"""`refresher policy`: what is printed, and how an administrator's token comes in. Vault's side is in tests/e2e."""

import json

import pytest

from refresher.cli import _token
from refresher.config import load
from refresher.core import rights

JOBS = """
[vault]
address = "https://vault.example.com:8200"
auth = { method = "approle", role_id = "r", secret_id = "env:S" }
[clusters.eu]
address = "https://eu.example.com:8200"
auth = { method = "token", token = "env:T" }
[jobs.crm]
provider = "exec"
command = ["/bin/true"]
destinations = [{ path = "tokens/crm" }, { cluster = "eu", path = "tokens/crm" }]
"""


@pytest.fixture
def jobs(tmp_path):
    file = tmp_path / "jobs.toml"
    file.touch(mode=0o600)
    file.write_text(JOBS)
    return file


def test_all_are_printed_or_one_to_pipe_on(cli, jobs):
    known = rights.policies(load(jobs), {})
    code, out, err = cli("policy", "--config", jobs)
    assert (code, err) == (0, "")
    heads = [f"# policy {one.name}{' of cluster eu' if one.cluster else ''}" for one in known]
    assert out == "".join(f"{head}\n{one.hcl()}\n" for head, one in zip(heads, known, strict=True))
    assert len(known) == 4
    assert cli("policy", "refresher-read-crm", "--cluster", "eu", "--config", jobs).out == (
        '# policy refresher-read-crm of cluster eu\npath "secret/data/tokens/crm" { capabilities = ["read"] }\n\n'
    )


def test_as_json(cli, jobs):
    lines = [json.loads(line) for line in cli("policy", "--json", "--cluster", "eu", "--config", jobs).out.splitlines()]
    assert [(line["cluster"], line["name"], line["written"]) for line in lines] == [
        ("eu", "refresher", None),
        ("eu", "refresher-read-crm", None),
    ]
    assert lines[1]["rules"] == {"secret/data/tokens/crm": ["read"]}
    assert lines[1]["hcl"].startswith('path "secret/data/tokens/crm"')


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["nobody"], "there is no policy 'nobody'"),
        (["--cluster", "us"], "there is no table [clusters.us]"),
        (["--apply", "--token", "hvs.CANARY"], "--token must be a reference"),
    ],
)
def test_wrong_usage(cli, jobs, words, why):
    code, _, err = cli("policy", *words, "--config", jobs)
    assert code == 64
    assert why in err
    assert "CANARY" not in err


class Typed:
    """Standard input, of a terminal or not."""

    def __init__(self, line: str, *, terminal: bool) -> None:
        self.line, self.terminal = line, terminal

    def isatty(self) -> bool:
        return self.terminal

    def readline(self, _most: int) -> str:
        return self.line


def test_the_token_is_asked_for_unseen_at_a_terminal_and_read_from_a_pipe(monkeypatch):
    asked: list[dict[str, object]] = []

    def prompt(_text: str, **how: object) -> str:
        asked.append(how)
        return "hvs.typed"

    monkeypatch.setattr(_token.typer, "prompt", prompt)
    monkeypatch.setattr(_token.sys, "stdin", Typed("hvs.piped\n", terminal=False))
    assert _token.administrators(None).reveal() == "hvs.piped"
    monkeypatch.setattr(_token.sys, "stdin", Typed("", terminal=True))
    assert _token.administrators(None).reveal() == "hvs.typed"
    assert asked == [{"hide_input": True, "err": True}]
    monkeypatch.setenv("ADMIN", "hvs.named")
    assert _token.administrators("env:ADMIN").reveal() == "hvs.named"


@pytest.mark.parametrize("text", ["", " \n", "hvs.CAN ARY", "hvs.CANARY\x7f"])
def test_what_is_no_token_is_refused_unquoted(monkeypatch, text):
    monkeypatch.setattr(_token.sys, "stdin", Typed(text, terminal=False))
    with pytest.raises(_token.typer.BadParameter) as caught:
        _token.administrators(None)
    assert "CANARY" not in str(caught.value)

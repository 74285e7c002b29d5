"""Every job of a fleet stands in the queue under a word that each node asks for."""

from types import SimpleNamespace

from refresher import config, turns
from refresher.scheduler import engine
from refresher.scheduler.queue_table import entrypoint
from tests.fakes.clock import VirtualClock

JOBS = """
[vault]
address = "https://vault.example.com"
auth = { method = "token", token = "env:VAULT" }

[scheduler]
kind = "postgres"

[scheduler.postgres]
dsn = "postgresql://refresher@localhost/refresher"

[jobs.tool]
provider = "exec"
command = ["/bin/true"]
path = "tokens/tool"

[jobs.crm]
provider = "oauth2"
grant = "client_credentials"
token_url = "https://crm.example.com/oauth/token"
client_id = "refresher"
client_secret = "env:CRM"
path = "tokens/crm"
"""


async def test_a_node_takes_the_jobs_of_every_provider_and_those_of_programs(tmp_path, monkeypatch):
    (file := tmp_path / "jobs.toml").write_text(JOBS)
    file.chmod(0o600)
    made = {}

    class Engine:
        run = stopping = stop = watch = hands = None

        def __init__(self, *_, **how):
            made.update(how)

    monkeypatch.setattr(engine, "Engine", Engine)
    house = SimpleNamespace(
        settings=config.load(file),
        clock=VirtualClock(),
        sink=None,
        ledger=None,
        identity=SimpleNamespace(holder="x"),
        endpoint=SimpleNamespace(gate=None),
    )
    turns.of(house, lambda _: None, lambda: None)
    rows = {name: entrypoint(provider) for name, provider in made["jobs"]().items()}
    assert rows.keys() == {"tool", "crm"}
    assert set(rows.values()) <= {entrypoint(one) for one in made["providers"]}

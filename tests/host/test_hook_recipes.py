"""The recipes of docs/how-to/hooks.md, run as they stand there, against a receiver of ours."""

import json
import re
import socketserver
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from refresher import config
from refresher.core import hooks
from refresher.core.events import Event
from refresher.core.job import Program
from refresher.core.secret import Secret
from refresher.host.program import Programs
from tests.config.conftest import VAULT, job
from tests.core.builders import NOW
from tests.e2e.receiver import receiving
from tests.rotation.stage import Memory

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "hooks.md").read_text("utf-8")
RECIPES = {
    re.search(r'"""(.+)\n?', text)[1].split()[0]: text
    for text in re.findall(r"^```python\n(#!.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
}
TABLES = re.findall(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
LATCHED = Event(name="latched", level="error", job="crm", fields={"error": "invalid_client", "why": "mend it"})


@pytest.fixture
def call(tmp_path):
    """Run a recipe as the daemon runs a hook."""

    async def run(recipe: str, event: Event, *words: str, **given: str) -> None:
        file = tmp_path / "recipe.py"
        file.write_text(RECIPES[recipe])
        program = Program(argv=(sys.executable, str(file), *words))
        told = hooks.cloud_event(event, ident="abc", instance="default", at=NOW)
        sink = Memory()
        try:
            await Programs(sink).call(program, told, {name: Secret(text) for name, text in given.items()})
        finally:
            print(sink.text())

    return run


def test_there_are_three():
    assert [text.split('"""')[1].split(",")[0] for text in RECIPES.values()] == [
        "Tells a Slack channel",
        "Opens an incident at PagerDuty (Events API v2)",
        "Mails an event: HOST PORT FROM TO.",
    ]


async def test_slack(call):
    with receiving() as slack:
        await call("Tells", LATCHED, webhook_url=f"{slack.url}/services/T0/B0/s3cret")
        method, path, headers, body = slack.got.get(timeout=10)
    assert (method, path, headers["content-type"]) == ("POST", "/services/T0/B0/s3cret", "application/json")
    assert json.loads(body) == {"text": "refresher: *latched* crm invalid_client mend it"}


async def test_pagerduty(call):
    with receiving() as pagerduty:
        for event in (LATCHED, Event(name="recovered", job="crm")):
            await call("Opens", event, f"{pagerduty.url}/v2/enqueue", routing_key="R0")
        first, last = (json.loads(pagerduty.got.get(timeout=10)[3]) for _ in range(2))
    assert (first["event_action"], last["event_action"]) == ("trigger", "resolve")
    assert first["dedup_key"] == last["dedup_key"] == "/refresher/default/crm"
    assert first["routing_key"] == "R0"
    payload = first["payload"]
    assert payload["summary"] == "refresher: latched crm invalid_client"
    assert payload["severity"] in ("critical", "error", "warning", "info"), "the words that Events API v2 takes"
    assert payload.keys() >= {"summary", "source", "severity"}, "what it asks for"


@contextmanager
def mail_server():
    """As much of RFC 5321 as a mail needs."""
    got: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline().decode():
                if line.upper().startswith("DATA"):
                    self.wfile.write(b"354 go on\r\n")
                    while (text := self.rfile.readline().decode()) != ".\r\n":
                        got.append(text.rstrip("\r\n"))
                self.wfile.write(b"221 bye\r\n" if line.upper().startswith("QUIT") else b"250 well\r\n")
                if line.upper().startswith("QUIT"):
                    return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield str(server.server_address[1]), got
        finally:
            server.shutdown()


async def test_mail(call):
    with mail_server() as (port, got):
        await call("Mails", LATCHED, "127.0.0.1", port, "refresher@example.com", "ops@example.com")
    assert "To: ops@example.com" in got
    assert "Subject: refresher: latched crm" in got
    assert "error: invalid_client" in got


@pytest.mark.parametrize("text", TABLES, ids=range(len(TABLES)))
def test_every_table_can_be_pasted(tmp_path, text):
    file = tmp_path / "jobs.toml"
    file.write_text(text + VAULT + job())
    file.chmod(0o600)
    settings = config.load(file)
    assert settings.hooks or settings.heartbeat_url

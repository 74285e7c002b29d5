"""The guides for readers, run as they stand: only addresses, mounts and folders are others than on the page."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from refresher.demo.openbao import OpenBao, find_binary

pytestmark = pytest.mark.e2e
GUIDES = Path(__file__).parents[2] / "docs" / "how-to" / "readers"
MINUTE_S = 60


class Host:
    """A reader's host: a mount with one token, a login that may read it and nothing else, and the guides' blocks."""

    def __init__(self, folder: Path, bao: OpenBao, mount: str) -> None:
        self.folder, self.bao, self.mount = folder, bao, mount
        bao.mount(mount)
        policy = f'path "{mount}/data/tokens/crm" {{ capabilities = ["read"] }}'
        self.role_id, self.secret_id = bao.approle(f"{mount}-reader", policy, token_type="batch")
        login = {"role_id": self.role_id, "secret_id": self.secret_id.reveal()}
        self.token = bao.api("PUT", "auth/approle/login", login)["auth"]["client_token"]

    def put(self, token: str, **more: str) -> None:
        self.bao.api("POST", f"{self.mount}/data/tokens/crm", {"data": {"access_token": token} | more})

    def block(self, page: str, language: str, number: int = 0) -> str:
        text = re.findall(rf"```{language}\n(.*?)```", (GUIDES / page).read_text(), re.DOTALL)[number]
        text = text.replace("https://vault.example.com:8200", self.bao.address).replace(
            "secret/data", f"{self.mount}/data"
        )
        return text.replace('"secret"', f'"{self.mount}"').replace("/etc/crm", str(self.folder))


@pytest.fixture
def host(tmp_path, openbao) -> Host:
    return Host(tmp_path, openbao, f"reader-{tmp_path.name.replace('_', '-')}")


def sh(text: str, **environ: str) -> str:
    done = subprocess.run(
        ["sh", "-euc", text], env=os.environ | environ, text=True, capture_output=True, check=False, timeout=MINUTE_S
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="needs curl and jq")
def test_curl(host):
    """Of the second block all is run but the last call, whose API is the reader's own."""
    host.put("AT-1")
    assert sh(host.block("curl.md", "sh"), VAULT_TOKEN=host.token) == "AT-1\n"
    (host.folder / "vault.header").write_text(f"X-Vault-Token: {host.token}\n")
    call = host.block("curl.md", "sh", 1)
    assert "curl -sf -H @- https://crm.example.com/api/orders" in call
    assert sh(call.split("token |")[0] + "token") == "Authorization: Bearer AT-1\n"


@pytest.mark.parametrize("number", [0, 1])
def test_hvac(host, number, monkeypatch):
    monkeypatch.setenv("VAULT_TOKEN", host.token)
    found: dict[str, object] = {}
    host.put("AT-1", expires_at_unix=str(int(time.time()) + 3600))
    exec(compile(host.block("hvac.md", "python", number), "guide", "exec"), found)  # noqa: S102  # as the reader does
    assert found["access_token"]() == "AT-1"
    host.put("AT-2", expires_at_unix=str(int(time.time()) + 20))
    assert found["access_token"]() == ("AT-2" if number == 0 else "AT-1"), "a copy is a minute old at most"
    if number:
        found["copy"]["read"] -= 61
        assert found["access_token"]() == "AT-2"
        host.put("AT-3")
        assert found["access_token"]() == "AT-3", "it had less than half a minute to live"


def test_vault_agent(host):
    host.put("AT-1")
    (host.folder / "role-id").write_text(host.role_id)
    (host.folder / "secret-id").write_text(host.secret_id.reveal())
    text = host.block("vault-agent.md", "hcl").replace("/run/crm", str(host.folder)).replace('"2m"', '"1s"')
    config, token = host.folder / "agent.hcl", host.folder / "token"
    config.write_text(text)
    environ = {"HOME": str(host.folder), "PATH": os.defpath}
    with (host.folder / "agent.log").open("w") as log:
        agent = subprocess.Popen([find_binary(), "agent", f"-config={config}"], env=environ, stdout=log, stderr=log)
    try:
        for number in (1, 2):
            host.put(f"AT-{number}")
            ends = time.monotonic() + MINUTE_S
            while not (token.exists() and token.read_text() == f"AT-{number}"):
                assert time.monotonic() < ends, (host.folder / "agent.log").read_text()
                time.sleep(0.05)
            assert token.stat().st_mode & 0o777 == 0o600
    finally:
        agent.kill()
        agent.wait()

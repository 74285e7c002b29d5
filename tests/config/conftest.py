"""A small valid jobs.toml to break in one place at a time."""

from collections.abc import Callable
from pathlib import Path

import pytest

from refresher import config
from refresher.core.errors import ConfigError
from refresher.core.settings import Settings

VAULT = """
[vault]
address = "https://vault.example.com:8200"
state_mount = "refresher"
auth = { method = "token", token = "file:/run/secrets/vault-token" }
"""
JOB = {
    "provider": '"oauth2"',
    "token_url": '"https://crm.example.com/oauth/token"',
    "grant": '"client_credentials"',
    "client_id": '"acme"',
    "client_secret": '"file:/etc/refresher/crm.secret"',
    "path": '"tokens/crm"',
}


def job(name: str = "crm", **keys: str | None) -> str:
    """Return a job's table; `keys` are TOML values, None leaves a key out."""
    lines = (f"{key} = {value}" for key, value in (JOB | keys).items() if value is not None)
    return f"[jobs.{name}]\n" + "\n".join(lines) + "\n"


def write(folder: Path, text: str | bytes, name: str = "jobs.toml") -> Path:
    """Write a file as an administrator would: nobody else may change it."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    file.chmod(0o644)
    return file


@pytest.fixture(autouse=True)
def _no_vault_in_the_environment(monkeypatch):
    monkeypatch.delenv("VAULT_ADDR", raising=False)
    monkeypatch.delenv("BAO_ADDR", raising=False)


@pytest.fixture
def load(tmp_path) -> Callable[..., Settings]:
    """Load a text; further files by name."""

    def load_text(text: str | bytes, **more: str) -> Settings:
        for name, content in more.items():
            write(tmp_path, content, f"jobs.d/{name}.toml")
        return config.load(write(tmp_path, text))

    return load_text


@pytest.fixture
def mistakes(load, tmp_path) -> Callable[..., list[str]]:
    """Return the lines about a text's mistakes, without the folder."""

    def told(text: str | bytes, **more: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text, **more)
        assert str(caught.value) == "\n".join(map(str, caught.value.mistakes))
        return str(caught.value).replace(f"{tmp_path}/", "").splitlines()

    return told

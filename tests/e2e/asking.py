"""Jobs at a provider's general endpoint, and one pass over them."""

import json
from typing import Any

from tests.e2e.site import Site
from tests.servers.provider import Provider


def job(site: Site, provider: Provider, name: str = "api", **more: Any) -> None:
    """Add a job that asks for client_credentials as a client of its own name."""
    words = {"provider": "oauth2", "token_url": provider.token_url, "grant": "client_credentials"}
    site.jobs[name] = words | {"client_id": name, "scope": provider.scope, "path": f"tokens/{name}"} | more


def once(site: Site, *words: str) -> dict[str, dict[str, Any]]:
    """Make one pass and return how each job ended."""
    site.write()
    done = site.run("once", "--json", *words)
    ended = [json.loads(line) for line in done.stdout.splitlines()]
    assert ended, done.stderr
    assert "eyJ" not in done.stdout + done.stderr, "no JWT is to be seen"
    return {one["job"]: one for one in ended}


def log(site: Site) -> list[dict[str, Any]]:
    """The log of the last pass."""
    return [json.loads(line) for line in site.outputs[-1].splitlines()]

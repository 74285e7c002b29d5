"""The catalogue: what is known of each provider, as data. A new provider is one file in `data/`.

A field that a vendor's page does not state is left out. A job's own keys win over the catalogue's.
"""

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import resources
from types import MappingProxyType

from refresher.core.job import ClientAuth, GrantName, ResponseMap


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One row of the catalogue.

    `docs` is the vendor's page, or its name. `environments` maps names to base URLs and `environment` is the one meant
    when a job names none; with `base_url_required` a job has to bring the host; without `token_path`, the whole URL.
    `client_auth` is `basic` where nobody says otherwise: RFC 6749 section 2.3.1 demands it of every server.
    `lifetime` is what the vendor states, for answers that state none. `refreshes`: a refresh token in an answer is used
    between full grants. `revokes_previous`: whether a new token kills the one before it, None where the vendor does not
    say. `errors` maps an error code, or an HTTP status, to what it means here and what to do.
    """

    name: str
    title: str
    docs: str
    token_path: str | None = None
    environments: Mapping[str, str] = field(default_factory=dict)
    environment: str | None = None
    base_url_required: bool = False
    grant: GrantName | None = None
    client_auth: ClientAuth = "basic"
    scope: tuple[str, ...] = ()
    lifetime: timedelta | None = None
    refreshes: bool = False
    revokes_previous: bool | None = None
    response: ResponseMap = field(default_factory=ResponseMap)
    errors: Mapping[str, str] = field(default_factory=dict)
    notes: str = ""


@functools.cache
def catalogue() -> Mapping[str, Provider]:
    """Return every known provider by its name, in alphabetical order. Read once."""
    files = sorted((resources.files(__package__) / "data").iterdir(), key=lambda file: file.name)
    rows = (
        _provider(file.name.removesuffix(".toml"), file.read_text("utf-8"))
        for file in files
        if file.name.endswith(".toml")
    )
    return MappingProxyType({row.name: row for row in rows})


def example(provider: Provider) -> str:
    """Return a table of jobs.toml to paste; what stands in it as an example has to be replaced."""
    name = provider.name
    keys = {"provider": name}
    if provider.token_path is None:
        keys["token_url"] = f"https://{name}.example.com/oauth/token"
    elif provider.base_url_required:
        keys["base_url"] = f"https://{name}.example.com"
    elif provider.environment is None:
        keys["environment"] = next(iter(provider.environments))
    if provider.grant is None:
        keys |= {"grant": "client_credentials", "client_auth": provider.client_auth}
    keys |= {"client_id": "your-client-id", "client_secret": f"vault:secret/clients/{name}#client_secret"}
    if provider.grant == "password":
        keys |= {"username": "api@example.com", "password": f"vault:secret/clients/{name}#password"}
    keys["path"] = f"tokens/{name}"
    lines = [f"# {provider.title}: {provider.docs}", f"[jobs.{name}]"]
    return "\n".join([*lines, *(f'{key} = "{value}"' for key, value in keys.items())]) + "\n"


def _provider(name: str, text: str) -> Provider:
    row = tomllib.loads(text)
    for key in ("environments", "errors"):
        row[key] = MappingProxyType(row.get(key, {}))
    if "lifetime" in row:
        row["lifetime"] = timedelta(seconds=row["lifetime"])
    return Provider(name=name, **row | {"scope": tuple(row.get("scope", ()))})

"""The catalogue: what is known of each provider, as data. A new provider is one file in `data/`.

A field that a vendor's page does not state is left out. A job's own keys win over the catalogue's.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import resources
from types import MappingProxyType
from typing import Literal

from refresher.core.job import ClientAuth, GrantName, ResponseMap
from refresher.providers import row


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One row of the catalogue.

    `docs` is the vendor's page, or its name. `verified`: the fields whose value was read on a page of the vendor, and
    `corpus` where replies of this provider are among the recorded ones; what is not in it is second-hand.

    Where the token endpoint is: `token_url`, whole; or `token_path` behind one of `environments` (base URLs by name;
    `environment` is the one meant when a job names none); or, with `base_url_required`, behind a host that the job
    brings; without any, the job brings it all. A `{name}` in an address or in `params` is one of `vars`, which a job
    must give; their values here are examples, as are those of `required`: keys of a job that are not always needed, but
    here.

    `grant` is the usual one, None where the job has to say; `grants` all that the vendor offers a program, () where
    nobody says. `client_auth` is `basic` where nobody says otherwise: RFC 6749 section 2.3.1 demands it of every
    server. `params` are sent with each request, and win over the grant's own. `lifetime` is what the vendor states, for
    answers that state none.

    `refreshes`: a refresh token in an answer is used between full grants. `single_use`: a refresh token is void once
    used, but for `leeway`, in which it may be sent again. It dies `refresh_token_lifetime` after the consent whatever
    is done, and unused after `refresh_token_idle`. `revokes_previous`: a new access token kills the one before it.
    None, in all of these: the vendor does not say. `errors` maps an error code, or an HTTP status, to what it means
    here and what to do.
    """

    name: str
    title: str
    docs: str
    verified: tuple[str, ...] = ()
    token_url: str | None = None
    token_path: str | None = None
    environments: Mapping[str, str] = field(default_factory=dict)
    environment: str | None = None
    base_url_required: bool = False
    vars: Mapping[str, str] = field(default_factory=dict)
    required: Mapping[str, str] = field(default_factory=dict)
    grant: GrantName | None = None
    grants: tuple[GrantName, ...] = ()
    client_auth: ClientAuth = "basic"
    body: Literal["form", "json"] = "form"
    params: Mapping[str, str] = field(default_factory=dict)
    scope: tuple[str, ...] = ()
    dialect: Literal["", "github_app", "google_service_account"] = ""
    lifetime: timedelta | None = None
    refreshes: bool = False
    single_use: bool | None = None
    leeway: timedelta | None = None
    refresh_token_lifetime: timedelta | None = None
    refresh_token_idle: timedelta | None = None
    revokes_previous: bool | None = None
    response: ResponseMap = field(default_factory=ResponseMap)
    errors: Mapping[str, str] = field(default_factory=dict)
    notes: str = ""

    @property
    def refresh_every(self) -> timedelta | None:
        """Return how often a refresh token has to be used at least, lest it die of disuse: twice in its idle time."""
        return self.refresh_token_idle and self.refresh_token_idle / 2


@functools.cache
def catalogue() -> Mapping[str, Provider]:
    """Return every known provider by its name, in alphabetical order. Read once. Raises row.BadRowError."""
    files = (resources.files(__package__) / "data").iterdir()
    named = {file.name.removesuffix(".toml"): file for file in files if file.name.endswith(".toml")}
    rows = {name: Provider(name=name, **row.read(name, named[name].read_text("utf-8"))) for name in sorted(named)}
    return MappingProxyType(rows)


def fill(template: str, values: Mapping[str, str]) -> str:
    """Return `template`, an address or a value of params, with each `{name}` replaced. KeyError for one that lacks."""
    return row.PLACEHOLDER.sub(lambda match: values[match.group(1)], template)


def example(provider: Provider) -> str:
    """Return a table of jobs.toml to paste; what stands in it as an example has to be replaced."""
    name, grant = provider.name, provider.grant or "client_credentials"
    secrets = f"vault:secret/clients/{name}"
    keys: dict[str, str | Mapping[str, str]] = {"provider": name, **_address(provider)}
    if provider.vars:
        keys["vars"] = provider.vars
    if provider.grant is None:
        keys |= {"grant": grant, "client_auth": provider.client_auth}
    if provider.dialect != "google_service_account":  # its key file says who it is
        keys["client_id"] = "your-client-id"
    if provider.client_auth in ("basic", "basic_raw", "post"):
        keys["client_secret"] = f"{secrets}#client_secret"
    match grant:
        case "password":
            keys |= {"username": "api@example.com", "password": f"{secrets}#password"}
        case "refresh_token":
            keys["refresh_token"] = f"{secrets}#refresh_token"
        case "jwt_bearer":
            keys["assertion"] = {"key": f"{secrets}#key"}
        case _:
            pass
    keys |= {**provider.required, "path": f"tokens/{name}"}
    lines = [f"# {provider.title}: {provider.docs}", f"[jobs.{name}]"]
    return "\n".join([*lines, *(f"{key} = {_toml(value)}" for key, value in keys.items())]) + "\n"


def _address(provider: Provider) -> dict[str, str]:
    """Return what a job has to say of the token endpoint's place."""
    if provider.base_url_required:
        return {"base_url": f"https://{provider.name}.example.com"}
    if provider.token_path is None and provider.token_url is None:
        return {"token_url": f"https://{provider.name}.example.com/oauth/token"}
    if provider.environments and provider.environment is None:
        return {"environment": next(iter(provider.environments))}
    return {}


def _toml(value: str | Mapping[str, str]) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return "{ " + ", ".join(f'{key} = "{text}"' for key, text in value.items()) + " }"

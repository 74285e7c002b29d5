"""A job: one OAuth client at one provider, and all that jobs.toml can say of it, as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

from refresher.core.fields import Fields
from refresher.core.model import Channel, Location, Reference

GrantName: TypeAlias = Literal["client_credentials", "password", "refresh_token", "jwt_bearer", "token_exchange"]
ClientAuth: TypeAlias = Literal["basic", "basic_raw", "post", "private_key_jwt", "client_secret_jwt", "tls", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """`renew_before`: a duration, or a share of the lifetime (0 < share < 1). One of the two is set."""

    duration: timedelta | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseMap:
    """Where a reply that is not RFC 6749 keeps its members; `None` means the usual names.

    A name is one of the reply's top members, or a path into it (`data.token`); members without a name here are looked
    for beside the access token. `error_ok`: values of `error` that mean success.
    """

    access_token: str | None = None
    expires_in: str | None = None
    expires_in_unit: Literal["s", "ms"] = "s"
    scope: str | None = None
    error: str | None = None
    error_ok: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """A JWT that refresher signs: to prove the client (RFC 7523 section 2.2), or as the grant itself (section 2.1).

    `key` is a PEM private key, or the client secret for HS algorithms. Empty `issuer` and `subject` mean the client
    id; an empty `audience` the token endpoint. `certificate`: a PEM whose SHA-1 thumbprint goes into `x5t`.
    """

    key: Reference
    algorithm: str = "RS256"
    key_id: str = ""
    certificate: Reference | None = None
    issuer: str = ""
    subject: str = ""
    audience: str = ""
    claims: tuple[tuple[str, str], ...] = ()
    lifetime: timedelta = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify:
    """How a new token is tried before it is published: a call that must answer `status`, or RFC 7662 introspection."""

    url: str
    status: int = 200
    introspect: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program that prints a token as JSON. `argv` is whole; secrets go in by standard input alone, as JSON."""

    argv: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    secrets: tuple[tuple[str, Reference], ...] = ()
    deadline: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """How a person consents once, by `refresher authorize` (RFC 8628, or RFC 6749 section 4.1 with RFC 7636).

    `url` is the device authorization or the authorization endpoint, empty where `issuer` leads to it. `redirect_port`:
    where the browser comes back to on 127.0.0.1, 0 for any. `params`: extra members of the consent request, no secret.
    """

    flow: Literal["device_code", "authorization_code"]
    url: str = ""
    redirect_port: int = 0
    params: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What is unusual about a job's token request. One shared value serves every job that has nothing unusual.

    `issuer`: the token endpoint is found by discovery (RFC 8414, OpenID Connect Discovery 1.0). `headers` and `params`
    hold no secret. `next_client_secret` is tried once when the first is refused as such. `client_assertion` is a JWT
    that somebody else signs, read at each try (workload identity). `subject_token` is what token_exchange exchanges.
    """

    method: Literal["POST", "GET"] = "POST"
    body: Literal["form", "json"] = "form"
    headers: tuple[tuple[str, str], ...] = ()
    issuer: str = ""
    channel: Channel | None = None
    next_client_secret: Reference | None = None
    client_key: Signing | None = None
    client_assertion: Reference | None = None
    assertion: Signing | None = None
    subject_token: Reference | None = None
    subject_token_type: str = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105  # a type's name
    program: Program | None = None
    verify: Verify | None = None
    consent: Consent | None = None
    dialect: Literal["", "github_app", "google_service_account"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """When a job is renewed besides its token's expiry. One shared value serves every job without any of these.

    `schedule` is a cron expression in `timezone`; `max_age` renews what lives longer; `refresh_every` keeps a refresh
    token alive that dies of disuse.
    """

    schedule: str = ""
    timezone: str = "UTC"
    max_age: timedelta | None = None
    refresh_every: timedelta | None = None


PLAIN_SHAPE: Final = Shape()
NO_TIMES: Final = Times()
USUAL_REPLY: Final = ResponseMap()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One OAuth client at one provider, kept fresh at one or more Vault paths.

    `token_url` is whole (environment, base_url and vars are resolved), or empty where `shape.issuer` leads to it.
    `refreshes`: a refresh token in an answer is used between full grants. `single_use`: it is void once used, but for
    `leeway` from then on. `lifetime`: what to assume when the provider states none. `params`: extra form members,
    repeats kept. `hosts`: patterns of the hosts that an issuer's metadata may lead to; none: to any.
    `client_secret_expires`: the day on which its secret ends, in UTC. `hooks`: names; None: all.
    `reader_lag`: how long readers may go on with the token before. `states`: the folder of its state record.
    `observed`: in shadow mode, the path of somebody else that each destination stands beside.
    """

    name: str
    provider: str
    token_url: str
    grant: GrantName
    client_auth: ClientAuth
    client_id: str
    client_secret: Reference | None = None
    username: str | None = None
    password: Reference | None = None
    refresh_token: Reference | None = None
    scope: tuple[str, ...] = ()
    require_scope: tuple[str, ...] = ()
    params: tuple[tuple[str, str], ...] = ()
    renew_before: Margin | None = None
    reader_lag: timedelta | None = None
    lifetime: timedelta | None = None
    refreshes: bool = False
    single_use: bool = True
    leeway: timedelta | None = None
    revokes_previous: bool = False
    response: ResponseMap = USUAL_REPLY
    shape: Shape = PLAIN_SHAPE
    times: Times = NO_TIMES
    keep: tuple[str, ...] = ()
    adopt: bool = False
    moved_from: str = ""
    hosts: tuple[str, ...] = ()
    client_secret_expires: date | None = None
    hooks: tuple[str, ...] | None = None
    destinations: tuple[Location, ...]
    states: Location
    observed: tuple[Location, ...] = ()
    fields: tuple[tuple[Location, Fields], ...] = ()

    def fields_at(self, place: Location) -> Fields:
        """Return what readers find under which name at `place`; none: the members as they are."""
        return next((fields for where, fields in self.fields if where == place), ())

    def references(self) -> Mapping[str, Reference]:
        """Return the secret references that it has, by key of jobs.toml."""
        shape = self.shape
        named = {
            "client_secret": self.client_secret,
            "password": self.password,
            "refresh_token": self.refresh_token,
            "next_client_secret": shape.next_client_secret,
            "client_assertion": shape.client_assertion,
            "subject_token": shape.subject_token,
        }
        for prefix, signing in (("client_key", shape.client_key), ("assertion", shape.assertion)):
            if signing is not None:
                named |= {f"{prefix}.key": signing.key, f"{prefix}.certificate": signing.certificate}
        if shape.program is not None:
            named |= {f"secrets.{name}": reference for name, reference in shape.program.secrets}
        return {name: reference for name, reference in named.items() if reference is not None}

    @property
    def former(self) -> "Job":
        """The job as it was before it was renamed: `moved_from` is its name, and in the path of its state record."""
        return replace(self, name=self.moved_from, moved_from="")

    @property
    def state(self) -> Location:
        """Where its state record stands. Made when it is asked for: most jobs never have one."""
        return replace(self.states, path=f"{self.states.path}/{self.name}")

    @property
    def irreplaceable(self) -> bool:
        """Whether its grant is spent by using it, or a new token kills the old one (design: words)."""
        return self.grant == "refresh_token" or self.refreshes or self.revokes_previous

    @property
    def host(self) -> str:
        """What its requests are counted under: the host of the token endpoint, or of the issuer that leads there."""
        return "exec" if self.shape.program is not None else urlsplit(self.shape.issuer or self.token_url).netloc


def asked_for(job: Job) -> tuple[object, ...]:
    """Return what `job` asks its provider for, and by whom: where it changes, another token is wanted."""
    client = (job.token_url, job.client_auth, job.client_id, job.username)
    return (*client, job.grant, job.scope, job.require_scope, job.params, job.response, job.shape)

"""A whole configuration as frozen values: what `config/` makes of jobs.toml and the rest of the program reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal, TypeAlias

from refresher.core.hooks import Hook, Url
from refresher.core.job import Job
from refresher.core.model import Channel, Reference

AuthMethod: TypeAlias = Literal["token", "approle", "kubernetes", "jwt", "cert"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """How to log in to a cluster. `mount` is the auth method's path, `role` one of its roles, `""`: its default one.

    One of `token`, `secret_id` and `jwt` is set, with method `cert` none. `wrapped`: what stands at `secret_id` is a
    response-wrapping token, which yields the secret ID once. `cert_file` and `key_file` are PEM files.
    """

    method: AuthMethod
    token: Reference | None = None
    role_id: str = ""
    secret_id: Reference | None = None
    wrapped: bool = False
    role: str = ""
    jwt: Reference | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    mount: str = "approle"

    @property
    def credential(self) -> Reference | None:
        """The secret that the login shows."""
        return self.token or self.secret_id or self.jwt


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """One Vault or OpenBao. `name` is `""` for the default one of the table [vault]."""

    name: str = ""
    address: str
    mount: str = "secret"
    namespace: str = ""
    ca_file: Path | None = None
    auth: Auth

    @property
    def channel(self) -> Channel:
        """The connection that its requests go by: a certificate that we log in with is shown with each of them."""
        return Channel(ca_file=self.ca_file, cert_file=self.auth.cert_file, key_file=self.auth.key_file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Token requests at once: to one host, and in all."""

    per_host: int = 4
    total: int = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgres:
    """The PostgreSQL that several machines share their jobs by. `dsn` holds no password.

    `lease`: how long a node that says nothing keeps its jobs; `poll`: how often a node that waits looks again.
    `guard_idle`: after that a node that is frozen loses its locks. `per_provider`: walks at once in the whole fleet.
    """

    dsn: str
    password: Reference | None = None
    schema: str = "refresher"
    lease: timedelta = timedelta(seconds=30)
    poll: timedelta = timedelta(seconds=2)
    max_in_flight: int = 200
    guard_idle: timedelta = timedelta(seconds=60)
    reconcile: timedelta = timedelta(minutes=5)
    remove_grace: timedelta = timedelta(minutes=10)
    log_keep: timedelta = timedelta(hours=1)
    per_provider: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that jobs.toml says. `clusters` has the default one under `""`.

    `state_dir` is `None` when the file names none: host/paths.py then finds it.
    `web_listen`: `HOST:PORT` or the path of a Unix socket, `""` for no status page. `textfile`: where a pass leaves its
    metrics. `heartbeat_url`: what is called while all is well, `""` for nothing.
    `web_listen`: `HOST:PORT` or the path of a Unix socket, `""` for no status page.
    `postgres`: what this machine shares its jobs by with others; None: it is alone.
    `includes`: how many files each pattern of `include` names. `warnings` are lines for people: allowed, but worth a
    look.
    """

    file: Path
    instance: str = "default"
    state_dir: Path | None = None
    clusters: Mapping[str, Cluster]
    jobs: Mapping[str, Job]
    limits: Limits = field(default_factory=Limits)
    log: LogSettings = field(default_factory=LogSettings)
    drift_check: timedelta = timedelta(minutes=15)
    request_deadline: timedelta = timedelta(seconds=20)
    web_listen: str = ""
    textfile: Path | None = None
    hooks: Mapping[str, Hook] = field(default_factory=dict)
    heartbeat_url: Url = ""
    heartbeat_every: timedelta = timedelta(minutes=1)
    postgres: Postgres | None = None
    includes: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def written_clusters(self) -> tuple[str, ...]:
        """The names of the clusters that a job writes to."""
        return tuple(sorted({place.cluster for job in self.jobs.values() for place in job.destinations}))

"""A whole configuration as frozen values: what `config/` makes of jobs.toml and the rest of the program reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal

from refresher.core.job import Job
from refresher.core.model import Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """How to log in to a cluster. `mount` is the auth method's path."""

    method: Literal["token", "approle"]
    token: Reference | None = None
    role_id: str = ""
    secret_id: Reference | None = None
    mount: str = "approle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """One Vault or OpenBao. `name` is `""` for the default one of the table [vault]."""

    name: str = ""
    address: str
    mount: str = "secret"
    namespace: str = ""
    ca_file: Path | None = None
    auth: Auth


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Token requests at once: to one host, and in all."""

    per_host: int = 4
    total: int = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that jobs.toml says. `clusters` has the default one under `""`.

    `state_dir` is `None` when the file names none: host/paths.py then finds it.
    `web_listen`: `HOST:PORT` or the path of a Unix socket, `""` for no status page.
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
    includes: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

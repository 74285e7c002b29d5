"""The tables and keys of jobs.toml, as pydantic models: names, shapes and descriptions; what a value means is words.py.

The JSON schema for editors and the reference page are made from these models. A job's table is in job_keys.py.
"""

from typing import Annotated, Literal, get_args

from pydantic import Field

from refresher.config import keys
from refresher.config.fleet_keys import PostgresTable
from refresher.config.include_tables import Include
from refresher.config.job_keys import JobTable
from refresher.config.keys import Table, choice, optional, usually
from refresher.core.settings import AuthMethod


class AuthTable(Table):
    """How to log in to Vault."""

    method: Annotated[AuthMethod | None, choice(*get_args(AuthMethod))] = optional(
        "The auth method. Required.", "approle"
    )
    token: keys.SecretKey | None = optional("Method `token`: the Vault token.", "file:/run/secrets/vault-token")
    role_id: keys.Text | None = optional(
        "Method `approle`: the role ID; it is no secret.", "2f5e8c1a-6f0b-4a53-9f5e-0c1d2e3f4a5b"
    )
    secret_id: keys.SecretKey | None = optional("Method `approle`: the secret ID.", "credential:vault-secret-id")
    wrapped_secret_id: keys.SecretKey | None = optional(
        "Method `approle`, instead of `secret_id`: a response-wrapping token that holds the secret ID. It is unwrapped "
        "once; what was in it is kept in the state directory.",
        "file:/etc/refresher/wrapped-secret-id",
    )
    role: keys.Text | None = optional(
        "Methods `kubernetes` (required), `jwt`, `cert`: the role to log in to; else the method's default one, or any "
        "that fits the certificate.",
        "refresher",
    )
    jwt: keys.SecretKey | None = optional(
        "Methods `kubernetes` and `jwt`: the JWT, read afresh for each login. `kubernetes`: else that of the pod's "
        "service account.",
        "file:/var/run/secrets/tokens/vault",
    )
    cert_file: keys.File | None = optional(
        "Method `cert`: the client's certificate, PEM, followed by those that vouch for it.", "/etc/refresher/vault.pem"
    )
    key_file: keys.File | None = optional(
        "Method `cert`: its private key, PEM, mode 0600, where that is not in `cert_file`.", "/etc/refresher/vault.key"
    )
    mount: keys.Name | None = optional(
        "Where the auth method is mounted, without `auth/`; else the method's own name.", "machines"
    )


class VaultTable(Table):
    """A Vault or OpenBao."""

    address: keys.Url | None = optional(
        "Its URL. For `[vault]`, else `$VAULT_ADDR`, else `$BAO_ADDR`.", "https://vault.example.com:8200"
    )
    mount: keys.Name = usually("secret", "The KV mount, version 2 or 1; which one is found out at start.", "kv")
    namespace: keys.Namespace = usually("", "The namespace, where there are any.", "ops/eu")
    ca_file: keys.File | None = optional("The certificates to trust, PEM; else the system's.", "/etc/ssl/vault-ca.pem")
    state_mount: keys.Name | None = optional(
        "The KV mount of state records, which hold refresh tokens: best one that readers may not read; else `mount`.",
        "refresher",
    )
    state_path: keys.Name = usually("refresher", "Where state records stand below their mount.", "refresher-state")
    auth: AuthTable | None = optional(
        "How to log in. Required.",
        {"method": "approle", "role_id": "2f5e8c1a", "secret_id": "credential:vault-secret-id"},
        {"method": "token", "token": "file:/run/secrets/vault-token"},
        {"method": "kubernetes", "role": "refresher"},
        {"method": "jwt", "jwt": "file:/var/run/secrets/tokens/vault"},
        {"method": "cert", "cert_file": "/etc/refresher/vault.pem"},
        {"method": "approle", "role_id": "2f5e8c1a", "wrapped_secret_id": "file:/etc/refresher/wrapped-secret-id"},
    )


class LimitsTable(Table):
    """Token requests at once. Each may need two open files: `started` warns where the process may not have so many."""

    per_host: keys.Requests = usually(4, "To one host; at most `total`.", 2)
    total: keys.Requests = usually(16, "In all.", 32)


class InstanceTable(Table):
    """This refresher, where there are several on one Vault."""

    name: keys.Name = usually("default", "Its name; it owns the paths that it wrote.", "blue")


class StateTable(Table):
    """Local state."""

    dir: keys.File | None = optional(
        "Else `$STATE_DIRECTORY`, which systemd sets; else `/var/lib/refresher`, or the XDG state folder.",
        "/srv/refresher",
    )


class LogTable(Table):
    """The log, on standard error."""

    level: Annotated[Literal["debug", "info", "warning", "error"], choice("debug", "info", "warning", "error")] = (
        usually("info", "The least important lines to write.", "debug")
    )
    format: Annotated[Literal["auto", "json", "text"], choice("auto", "json", "text")] = usually(
        "auto", "`auto`: text on a terminal, entries with fields in systemd's journal, JSON lines elsewhere.", "json"
    )


class WebTable(Table):
    """The status page, `/metrics`, `/healthz` and `/readyz`; see [Watch over it](../how-to/monitoring.md)."""

    listen: keys.Listen = usually(
        "127.0.0.1:9377",
        'Where: a port on loopback, or the path of a Unix socket; `""` for none. One that is taken is waited for.',
        "",
        "/run/refresher/web.sock",
    )


class MetricsTable(Table):
    """The series of `/metrics` for those whom nobody can ask: `refresher once` under a timer or cron."""

    textfile: keys.File | None = optional(
        "`refresher once` over all jobs leaves them in this file, for node_exporter's textfile collector; see [Watch "
        "over it](../how-to/monitoring.md). A daemon serves `/metrics` instead.",
        "/var/lib/prometheus/node-exporter/refresher.prom",
    )


class SchedulerTable(Table):
    """Which machine renews what; see [More than one machine](../how-to/cluster.md)."""

    kind: Annotated[Literal["local", "postgres"], choice("local", "postgres")] = usually(
        "local", "`local`: this machine alone. `postgres`: shared with others; needs `refresher[cluster]`.", "postgres"
    )
    postgres: PostgresTable | None = optional(
        "Kind `postgres`: where the nodes meet, and how long they wait. Required there.",
        {"dsn": "postgresql://refresher@pg.example.com/refresher?sslmode=verify-full"},
    )


class HookTable(Table):
    """A hook is called when something happened; see [Hooks](../how-to/hooks.md). One of `command`, `url`, `reload`."""

    on: keys.Events | None = optional(
        "The [events](events.md) to be told of; else all. `before` stands alone: `command` is asked before each "
        "rotation, and status 75 says not now.",
        ["latched", "expired"],
        ["before"],
    )
    level: Annotated[Literal["info", "warning", "error"], choice("info", "warning", "error")] = usually(
        "info", "The least important events to be told of. Repeats are `debug`, and never told.", "error"
    )
    command: keys.Command | None = optional(
        "A program, by its absolute path, and its arguments. No shell reads it. The event is on its standard input.",
        ["/usr/local/bin/tell-slack"],
    )
    secrets: keys.LocalSecrets | None = optional(
        "With `command`: what it gets on standard input beside the event, as the member `secrets`.",
        {"webhook_url": "credential:slack-webhook-url"},
    )
    deadline: keys.Span | None = optional(
        "With `command`: when it is ended if it still runs; at most 30s for `before`, where it is 5s if left out.",
        "10s",
        otherwise="30s",
    )
    url: keys.UrlOrSecret | None = optional(
        "Where a webhook goes, as a CloudEvent in JSON by POST.",
        "https://events.example.com/refresher",
        "credential:hook-url",
    )
    secret: keys.LocalSecret | None = optional(
        "With `url`: what signs it, by the convention of Standard Webhooks: `whsec_` and base64, or any text.",
        "credential:hook-secret",
    )
    reload: keys.Unit | None = optional(
        "A systemd service to reload, without `.service`: `systemctl enable --now refresher-reload@NAME.path` first.",
        "nginx",
    )


class File(Table):
    """jobs.toml."""

    include: list[Include] = usually(
        [],
        "More files with `[jobs.NAME]` tables, relative to this one; a table holds them to an allow-list.",
        ["jobs.d/*.toml"],
        ["jobs.d/*.toml", {"files": "teams/payments/*.toml", "allow": {"jobs": ["payments-*"]}}],
    )
    drift_check: keys.Span = Field(
        default="15m",
        validate_default=True,
        description="How often every path is looked at for foreign changes.",
        examples=["1h"],
    )
    heartbeat_url: keys.UrlOrSecret | None = optional(
        "A dead man's switch: called by GET while every job is well, and only then.",
        "credential:heartbeat-url",
        "https://hc.example.com/ping/refresher",
    )
    heartbeat_every: keys.Span = Field(
        default="1m", validate_default=True, description="How often `heartbeat_url` is called.", examples=["5m"]
    )
    vault: VaultTable | None = Field(default=None, description="The default cluster.")
    clusters: dict[keys.ClusterName, VaultTable] = Field(default={}, description="Further clusters, by name.")
    defaults: JobTable | None = Field(default=None, description="Any key of a job, for all jobs.")
    jobs: dict[keys.Name, JobTable] = Field(default={}, description="The jobs, by name.")
    limits: LimitsTable = Field(default_factory=LimitsTable, description="Token requests at once.")
    instance: InstanceTable = Field(default_factory=InstanceTable, description="This refresher's name.")
    state: StateTable = Field(default_factory=StateTable, description="Local state.")
    log: LogTable = Field(default_factory=LogTable, description="The log.")
    web: WebTable = Field(default_factory=WebTable, description="The status page.")
    metrics: MetricsTable = Field(default_factory=MetricsTable, description="Metrics of passes.")
    scheduler: SchedulerTable = Field(default_factory=SchedulerTable, description="The bell.")
    hooks: dict[keys.ClusterName, HookTable] = Field(default={}, description="The hooks, by name.")


class Included(Table):
    """A file that jobs.toml includes."""

    jobs: dict[keys.Name, JobTable] = Field(default={}, description="Jobs, by name.")

"""A job's table: how a token is asked for (request_keys.py), what becomes of the reply, and when and where."""

from refresher.config import keys
from refresher.config.job_tables import DestinationTable, ResponseTable, Verify
from refresher.config.keys import Table, flag, optional
from refresher.config.request_keys import ClientKeys, GrantKeys, ProviderKeys, RequestKeys


class ReplyKeys(Table):
    """The reply, and what becomes of it."""

    response: ResponseTable | None = optional(
        "Where the reply keeps its members, where that is not as in RFC 6749.",
        {"access_token": "data.token", "expires_in": "data.ttl", "expires_in_unit": "ms"},
    )
    require_scope: keys.Scope | None = optional(
        "What the token must be granted; else it is refused and the old one stays.", ["orders.read"]
    )
    verify: Verify = optional(
        "How the token is tried before it is published. `introspect` asks the issuer (RFC 7662).",
        {"url": "https://crm.example.com/api/me", "status": 200},
        {"introspect": "https://id.example.com/oauth/introspect"},
        "introspect",
    )
    keep: keys.Keep | None = optional("Further members of the reply to store beside the token.", ["id_token"])
    revokes_previous: keys.Flag | None = flag(
        "Whether a new token kills the one before it; else what the provider says."
    )


class TimeKeys(Table):
    """When to renew: at the earliest of these."""

    renew_before: keys.MarginKey | None = optional(
        "The life that readers may count on, at most a quarter of the lifetime; else 10 minutes or 5 %, the larger.",
        "10m",
        "25%",
    )
    lifetime: keys.Span | None = optional(
        "The lifetime to assume when the reply states none; else the provider's.", "1h"
    )
    max_age: keys.Span | None = optional("Renew what is older, however long it may live.", "1d")
    schedule: keys.Schedule | None = optional(
        "When to renew whatever the token's age: minute, hour, day, month, day of the week.",
        "0 3 * * *",
        "30 6,18 * * mon-fri",
    )
    timezone: keys.Timezone | None = optional(
        "The time zone of `schedule`, by its name in the tz database.", "Europe/Lisbon", otherwise="UTC"
    )
    refresh_every: keys.Span | None = optional(
        "Use the refresh token at least so often, lest it die of disuse; else half of what the provider allows.", "24h"
    )


class ProgramKeys(Table):
    """With provider `exec`: a program of yours that prints a token as JSON. Its variables stand in `environment`."""

    command: keys.Command | None = optional(
        "The program, by its absolute path, and its arguments. No shell reads it. Required.",
        ["/usr/local/bin/fetch-token", "--client", "crm"],
    )
    secrets: keys.NamedSecrets | None = optional(
        "What it gets on standard input, as one JSON object.", {"password": "vault:secret/clients/crm#password"}
    )
    deadline: keys.Span | None = optional("When it is ended if it still runs.", "1m", otherwise="30s")


class PlaceKeys(Table):
    """Where readers find the token."""

    path: keys.Name | None = optional(
        "A path in the default cluster and its mount. Required, or `destinations`.", "tokens/crm"
    )
    destinations: list[DestinationTable] | None = optional(
        "Several paths, or other clusters and mounts.",
        [{"path": "tokens/crm"}, {"cluster": "eu", "mount": "shared", "path": "crm"}],
    )
    fields: keys.Fields | None = optional(
        "What stands there under which name, instead of the members as they are. `{access_token}` stands for that "
        "member, and all else for itself; see [Write it elsewhere, and otherwise](../how-to/destinations.md).",
        {"token": "{access_token}", "header": "Bearer {access_token}", "ttl": "300s"},
    )
    reader_lag: keys.Span | None = optional(
        "How long readers may go on with the token before: how often they read again. Vault Agent: 5m, External "
        "Secrets: 1h, unless told otherwise. `check` and `plan` warn where less is promised.",
        "5m",
    )
    moved_from: keys.Name | None = optional(
        "The name that the job had before: its state record, its path and its history become this one's.", "old-crm"
    )
    shadow: keys.Flag | None = flag(
        "`true`: write beside each path, to `PATH-shadow`, and compare with what somebody else still writes at it; see "
        "[Move from cron](../how-to/from-cron.md)."
    )
    adopt: keys.Flag | None = flag("`true`: take over a path that somebody else wrote before.")


class TellKeys(Table):
    """Whom to tell, and what else comes to an end."""

    hooks: keys.Names | None = optional(
        "The [hooks](#hooksname) that are told of this job, and asked before its rotations; else all; `[]`: none.",
        ["pager", "reload-crm"],
    )
    client_secret_expires: keys.Day | None = optional(
        "The day on which the client secret ends at the provider: told of 30, 14, 7 and 1 days before.", "2027-03-01"
    )


class JobTable(TellKeys, PlaceKeys, ProgramKeys, TimeKeys, ReplyKeys, RequestKeys, GrantKeys, ClientKeys, ProviderKeys):
    """One OAuth client at one provider, kept fresh at one or more Vault paths."""

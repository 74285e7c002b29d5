"""The tables and keys of jobs.toml, as pydantic models: names, shapes and descriptions; what a value means is words.py.

Every key may be left out here: what a job needs depends on its provider and on [defaults], and is checked in jobs.py.
The JSON schema for editors is made from these models.
"""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PlainValidator

from refresher.config import addresses, references, words
from refresher.core.job import Margin
from refresher.core.model import Reference

_PATH: Final = f"^{words.SEGMENT}(?:/{words.SEGMENT})*$"
_SPAN: Final = r"^(?=.)(?:[0-9]+d)?(?:[0-9]+h)?(?:[0-9]+m)?(?:[0-9]+s)?$"
_MARGIN: Final = rf"{_SPAN}|^[0-9]{{1,2}}(?:\.[0-9]{{1,3}})?%$"
_REFERENCE: Final = r"^(?:vault:[^#]+/[^#]+#[^#]+|file:/.+|credential:.+|env:[A-Za-z_][A-Za-z0-9_]*)$"


def _texts(pattern: str) -> Any:  # noqa: ANN401  # a type made at run time, for the schema alone
    return Annotated[str, Field(pattern=pattern)]


TextKey: TypeAlias = Annotated[str | None, PlainValidator(words.text, json_schema_input_type=str)]
PathKey: TypeAlias = Annotated[str | None, PlainValidator(words.path, json_schema_input_type=_texts(_PATH))]
Name: TypeAlias = Annotated[str, PlainValidator(words.path, json_schema_input_type=_texts(_PATH))]
ClusterName: TypeAlias = Annotated[
    str, PlainValidator(words.segment, json_schema_input_type=_texts(f"^{words.SEGMENT}$"))
]
FileKey: TypeAlias = Annotated[Path | None, PlainValidator(words.absolute, json_schema_input_type=_texts("^/."))]
UrlKey: TypeAlias = Annotated[
    str | None, PlainValidator(addresses.url, json_schema_input_type=_texts("^https?://[^@?#]+$"))
]
SpanKey: TypeAlias = Annotated[timedelta | None, PlainValidator(words.span, json_schema_input_type=_texts(_SPAN))]
MarginKey: TypeAlias = Annotated[Margin | None, PlainValidator(words.margin, json_schema_input_type=_texts(_MARGIN))]
ReferenceKey: TypeAlias = Annotated[
    Reference | None, PlainValidator(references.reference, json_schema_input_type=_texts(_REFERENCE))
]
ScopeKey: TypeAlias = Annotated[
    tuple[str, ...] | None, PlainValidator(words.scopes, json_schema_input_type=str | list[str])
]
ParamsKey: TypeAlias = Annotated[
    tuple[tuple[str, str], ...] | None, PlainValidator(words.params, json_schema_input_type=dict[str, str])
]
KeepKey: TypeAlias = Annotated[tuple[str, ...] | None, PlainValidator(words.keep, json_schema_input_type=list[str])]
MemberKey: TypeAlias = Annotated[str | None, PlainValidator(words.member, json_schema_input_type=str)]
FlagKey: TypeAlias = Annotated[bool | None, PlainValidator(words.flag, json_schema_input_type=bool)]
Requests: TypeAlias = Annotated[int, Field(ge=1, le=1000)]


def _choice(*known: str, planned: tuple[str, ...] = ()) -> Any:  # noqa: ANN401  # a validator made of the words
    return PlainValidator(words.one_of(*known, planned=planned), json_schema_input_type=Literal[known])


class Table(BaseModel):
    """One table: unknown keys are errors, nothing is coerced, no input is shown in an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    def said(self) -> dict[str, Any]:
        """Return the keys that the file names, with their values."""
        return {key: self.__dict__[key] for key in self.model_fields_set}


class AuthTable(Table):
    """How to log in to Vault."""

    method: Annotated[Literal["token", "approle"] | None, _choice("token", "approle")] = Field(
        default=None, description="The auth method."
    )
    token: ReferenceKey = Field(default=None, description="Method token: a reference to the Vault token.")
    role_id: TextKey = Field(default=None, description="Method approle: the role ID; it is no secret.")
    secret_id: ReferenceKey = Field(default=None, description="Method approle: a reference to the secret ID.")
    mount: Name = Field(default="approle", description="Where the auth method is mounted, without auth/.")


class VaultTable(Table):
    """A Vault or OpenBao."""

    address: UrlKey = Field(default=None, description="Its URL. For [vault], else $VAULT_ADDR, else $BAO_ADDR.")
    mount: Name = Field(default="secret", description="The KV mount, version 2 or 1; which one is found out at start.")
    namespace: Annotated[str, PlainValidator(words.namespace, json_schema_input_type=str)] = Field(
        default="", description="The namespace, where there are any."
    )
    ca_file: FileKey = Field(default=None, description="A file with the certificates to trust, PEM; else the system's.")
    state_mount: PathKey = Field(default=None, description="The KV mount of state records (refresh tokens).")
    state_path: Name = Field(default="refresher", description="Where state records stand below their mount.")
    auth: AuthTable | None = Field(default=None, description="How to log in.")


class DestinationTable(Table):
    """One Vault path that a job writes."""

    cluster: Annotated[str, PlainValidator(words.segment, json_schema_input_type=str)] = Field(
        default="", description="The name of a table [clusters.NAME]; else the default cluster."
    )
    mount: PathKey = Field(default=None, description="The KV mount; else the cluster's.")
    path: PathKey = Field(default=None, description="The path below the mount.")


class ResponseTable(Table):
    """Where a reply that is not as in RFC 6749 keeps its members."""

    access_token: MemberKey = Field(default=None, description="The member that holds the token.")
    expires_in: MemberKey = Field(default=None, description="The member that holds the lifetime.")
    expires_in_unit: Annotated[Literal["s", "ms"], _choice("s", "ms")] = Field(default="s", description="Its unit.")
    error: MemberKey = Field(default=None, description="The member that holds the error code.")
    error_ok: Annotated[
        tuple[str | int, ...], PlainValidator(words.error_ok, json_schema_input_type=list[str | int])
    ] = Field(default=(), description="Values of the error member that mean success.")


class JobTable(Table):
    """One OAuth client at one provider, kept fresh at one or more Vault paths."""

    provider: TextKey = Field(default=None, description="A provider of the catalogue: refresher providers lists them.")
    environment: TextKey = Field(default=None, description="One of the provider's environments.")
    base_url: UrlKey = Field(default=None, description="The provider's host, where its document names the path alone.")
    token_url: UrlKey = Field(default=None, description="The whole URL of the token endpoint.")
    grant: Annotated[
        str | None,
        _choice(
            "client_credentials",
            "password",
            "refresh_token",
            planned=("authorization_code", "device_code", "jwt_bearer", "token_exchange"),
        ),
    ] = Field(default=None, description="RFC 6749's word; else the provider's.")
    client_auth: Annotated[
        str | None,
        _choice("basic", "basic_raw", "post", planned=("private_key_jwt", "client_secret_jwt", "tls", "none")),
    ] = Field(default=None, description="How the client shows its secret; else the provider's way.")
    client_id: TextKey = Field(default=None, description="The client's name at the provider.")
    client_secret: ReferenceKey = Field(default=None, description="A reference to the client's secret.")
    username: TextKey = Field(default=None, description="Grant password: the user.")
    password: ReferenceKey = Field(default=None, description="Grant password: a reference to the user's password.")
    refresh_token: ReferenceKey = Field(default=None, description="Grant refresh_token: a reference to the first one.")
    scope: ScopeKey = Field(default=None, description="What to ask for: a list, or one text with spaces.")
    require_scope: ScopeKey = Field(default=None, description="What the token must be granted, else it is refused.")
    params: ParamsKey = Field(default=None, description="Extra members of the token request; no secrets.")
    renew_before: MarginKey = Field(
        default=None, description='The life that readers may count on: "10m", or "25%" of the lifetime.'
    )
    lifetime: SpanKey = Field(default=None, description="The lifetime to assume when the provider states none.")
    revokes_previous: FlagKey = Field(default=None, description="Whether a new token kills the one before it.")
    response: ResponseTable | None = Field(default=None, description="Names of members, where they are not RFC 6749's.")
    keep: KeepKey = Field(default=None, description="Further members of the reply to store, e.g. id_token.")
    adopt: FlagKey = Field(default=None, description="true: take over a path that somebody else wrote before.")
    path: PathKey = Field(default=None, description="What readers read: a path in the default cluster and mount.")
    destinations: list[DestinationTable] | None = Field(default=None, description="Several paths, or other mounts.")


class LimitsTable(Table):
    """Token requests at once."""

    per_host: Requests = Field(default=4, description="To one host.")
    total: Requests = Field(default=16, description="In all.")


class InstanceTable(Table):
    """This refresher, where there are several."""

    name: Name = Field(default="default", description="Its name; it owns the paths that it wrote.")


class StateTable(Table):
    """Local state."""

    dir: FileKey = Field(default=None, description="Else $STATE_DIRECTORY, /var/lib/refresher, or XDG's.")


class LogTable(Table):
    """The log, on standard error."""

    level: Annotated[Literal["debug", "info", "warning", "error"], _choice("debug", "info", "warning", "error")] = (
        Field(default="info", description="The least important lines to write.")
    )
    format: Annotated[Literal["auto", "json", "text"], _choice("auto", "json", "text")] = Field(
        default="auto", description="auto: text on a terminal, JSON lines elsewhere."
    )


class WebTable(Table):
    """The status page; this version has none yet."""

    listen: Annotated[str | None, PlainValidator(words.listen, json_schema_input_type=str)] = Field(
        default=None, description='HOST:PORT, or "" for none.'
    )


class SchedulerTable(Table):
    """The bell; this version has no key here yet."""


class HooksTable(Table):
    """What to call when something happened; this version has no key here yet."""


class File(Table):
    """jobs.toml."""

    include: list[Annotated[str, PlainValidator(words.pattern, json_schema_input_type=str)]] = Field(
        default=[], description='More files with jobs, relative to this one, e.g. ["jobs.d/*.toml"].'
    )
    drift_check: Annotated[timedelta, PlainValidator(words.span, json_schema_input_type=_texts(_SPAN))] = Field(
        default="15m", validate_default=True, description="How often every path is looked at for foreign changes."
    )
    vault: VaultTable | None = Field(default=None, description="The default cluster.")
    clusters: dict[ClusterName, VaultTable] = Field(default={}, description="Further clusters, by name.")
    defaults: JobTable | None = Field(default=None, description="Any key of a job, for all jobs.")
    limits: LimitsTable = Field(default_factory=LimitsTable, description="Token requests at once.")
    instance: InstanceTable = Field(default_factory=InstanceTable, description="This refresher's name.")
    state: StateTable = Field(default_factory=StateTable, description="Local state.")
    log: LogTable = Field(default_factory=LogTable, description="The log.")
    web: WebTable = Field(default_factory=WebTable, description="The status page.")
    scheduler: SchedulerTable = Field(default_factory=SchedulerTable, description="The bell.")
    hooks: HooksTable = Field(default_factory=HooksTable, description="Hooks.")
    jobs: dict[Name, JobTable] = Field(default={}, description="The jobs, by name.")


class Included(Table):
    """A file that jobs.toml includes."""

    jobs: dict[Name, JobTable] = Field(default={}, description="Jobs, by name.")

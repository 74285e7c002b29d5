"""What goes to and comes from providers and Vault, as values: frozen, keyword-only.

Times are aware datetimes in UTC, spans are timedeltas; bare seconds exist only at the borders.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, TypeAlias

from refresher.core.secret import Secret

ReferenceKind: TypeAlias = Literal["vault", "file", "credential", "env"]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Reference:
    """Where a secret stands.

    `vault`: `target` is `mount/path` as the vault CLI takes it, `field` the member, `cluster` a name or `""` for
    the default one. `file`: an absolute path. `credential`: a systemd credential's name. `env`: a variable's name.
    """

    kind: ReferenceKind
    target: str
    field: str = ""
    cluster: str = ""

    def __str__(self) -> str:
        cluster = f"{self.cluster}:" if self.cluster else ""
        return f"{self.kind}:{cluster}{self.target}" + (f"#{self.field}" if self.field else "")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Location:
    """A secret's place in Vault: the name of the cluster (`""`: the default one), the mount, the path below it."""

    cluster: str = ""
    mount: str
    path: str

    def __str__(self) -> str:
        cluster = f"{self.cluster}:" if self.cluster else ""
        return f"{cluster}{self.mount}/{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """The connection that a job's requests need where the usual one does not serve. PEM files; `proxy` is a URL.

    `cert_file` and `key_file` are the client's certificate (RFC 8705).
    """

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    proxy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What the provider issued, normalised.

    `issued_at` is when the request was *sent*; `expires_in` whole seconds from then, `None` when nobody says.
    `refresh_in`: seconds after which the provider wants to be asked for the next one. `refresh_expires_in`: seconds
    that the refresh token lives, from then, too.
    `extras` holds the other members of the reply that were text (id_token and the like), for a job's `keep`.
    """

    access_token: Secret
    token_type: str = "Bearer"  # noqa: S105  # a scheme's name
    issued_at: datetime
    expires_in: int | None
    refresh_in: int | None = None
    refresh_expires_in: int | None = None
    refresh_token: Secret | None = None
    scope: tuple[str, ...] | None = None
    extras: Mapping[str, Secret] = field(default_factory=dict)
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """The provider issued a token."""

    token: Token
    status: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The provider issued nothing that can be used; `error` is a code, never free text. `why` is a text of ours.

    `retry_after`: whole seconds, 1 to 3600, for `transient` alone. `refresh_token`: one that came with an answer whose
    access token can't be used (scope too narrow, a type that is not bearer, malformed): the one sent may be spent.
    `lost`: the request may have reached the server, and no whole answer came.
    """

    kind: Literal["permanent", "transient", "malformed"]
    error: str
    status: int = 0
    retry_after: int | None = None
    refresh_token: Secret | None = None
    why: str = field(default="", compare=False)
    lost: bool = field(default=False, compare=False)


Verdict: TypeAlias = Granted | Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One request as it goes on the wire. `body` and header values may hold secrets: its repr shows neither.

    `repeatable`: whoever sends it would send it again where nothing came of it, so it may go over a connection that was
    kept, and may be dead.
    """

    method: str = "POST"
    url: str = field(repr=False)  # a vendor that wants GET has secrets in it
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    channel: Channel | None = None
    repeatable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """One reply as it came: header names in lower case, repeats kept, the body not decompressed.

    `truncated`: the body was longer than the wire's limit and reading stopped there.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    truncated: bool = False

    def header(self, name: str) -> tuple[str, ...]:
        """Return every value of the header `name` (lower case), in order."""
        return tuple([value for key, value in self.headers if key == name])


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A Vault secret that is there. `version` is `None` on KV v1; members keep their names.

    `age`: how long this version stands there, by Vault's own clock; none where it does not say (KV v1).
    """

    version: int | None
    data: Mapping[str, Secret]
    metadata: Mapping[str, str] = field(default_factory=dict)
    deletion_time: datetime | None = None
    age: timedelta = field(default=timedelta(), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """A Vault secret that is not there: never written (`version` 0), or its newest version deleted (that version)."""

    version: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A write that Vault acknowledged."""

    version: int | None
    deletion_time: datetime | None = None

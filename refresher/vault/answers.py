"""What Vault's answers mean: pure functions over one table.

Rules of this module:
- Success is shown, never assumed: a write is done when HTTP 200 carries an integer version (KV v2), a secret is
  absent when Vault itself says so. Whatever else comes with a 2xx was made by something in between.
- Vault's own texts are looked at for known phrases and never handed on: they have newlines, server paths and more.
- A code is for programs, a message for people; both are constants of this table.

Sources: developer.hashicorp.com/vault/api-docs (identical for OpenBao, openbao.org/api-docs), and what OpenBao 2.7
answered when each row was provoked.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from refresher.core.errors import (
    StoreAmbiguousError,
    StoreConflictError,
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
    TransportError,
)
from refresher.core.http_date import moment
from refresher.core.model import Absent, Found, HttpResponse, Written
from refresher.core.secret import Secret

Away: TypeAlias = StoreUnavailableError
Unsure: TypeAlias = StoreAmbiguousError
Lost: TypeAlias = StoreConflictError
Refused: TypeAlias = StoreRefusedError

MAX_RETRY_AFTER: Final = 3600.0  # seconds; a proxy can say anything
MAX_INDEX: Final = 4096  # characters
BEHIND: Final = 412  # HTTP, as below
OPENBAO_BEHIND: Final = 429
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer of Vault: `body` is its JSON object, `None` when it is none (an empty body, a proxy's page)."""

    status: int
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    retry_after: float | None = None
    at: datetime | None = None  # when, by the clock of the node that answered
    index: str = ""  # X-Vault-Index, opaque: what a node must have seen to know what this answer tells

    @property
    def is_behind(self) -> bool:
        """Whether the node lacks the index that was asked for: 412 of HashiCorp's, 429 without a text of OpenBao's."""
        return self.status == BEHIND or (self.status == OPENBAO_BEHIND and (self.body or _NOTHING).get("errors") == [])

    @property
    def data(self) -> Mapping[str, Any]:
        return self.member("data")

    def member(self, name: str) -> Mapping[str, Any]:
        """Return the member `name` of the body, empty when it is no object."""
        value = (self.body or _NOTHING).get(name)
        return value if isinstance(value, dict) else _NOTHING

    def says(self, phrase: str) -> bool:
        """Whether an error or a warning of the answer has `phrase` in it, whatever the case."""
        return any(phrase in text.lower() for text in (*self._texts("errors"), *self._texts("warnings")))

    @property
    def is_not_found(self) -> bool:
        """Whether Vault itself says that nothing is there: 404, an empty list of errors, no warning."""
        body = self.body or _NOTHING
        return self.status == 404 and body.get("errors") == [] and not body.get("warnings")  # noqa: PLR2004  # HTTP

    def _texts(self, name: str) -> tuple[str, ...]:
        texts = (self.body or _NOTHING).get(name)
        return tuple(text for text in texts if isinstance(text, str)) if isinstance(texts, list) else ()


@dataclass(frozen=True, slots=True)
class Row:
    """One situation: an answer with one of `statuses` that says `phrase` (`""`: whatever it says)."""

    statuses: frozenset[int]
    phrase: str
    kind: type[StoreError]
    code: str
    message: str


def _row(statuses: int | range | tuple[int, ...], phrase: str, kind: type[StoreError], code: str, message: str) -> Row:
    return Row(frozenset((statuses,) if isinstance(statuses, int) else statuses), phrase, kind, code, message)


# The first row that fits stands. Phrases are in lower case.
ROWS: Final = (
    _row(503, "vault is sealed", Away, "sealed", "Vault is sealed; unseal it"),
    _row(501, "", Away, "uninitialised", "Vault is not initialised"),
    _row(307, "", Away, "standby", "a standby node sent us to its leader; no redirect is followed"),
    _row((472, 473), "", Away, "standby", "a standby node that takes no such request"),
    _row(500, "local node not active", Away, "standby", "there is no active node"),
    _row(range(300, 400), "", Refused, "redirect", "the address answers with a redirect; write the final address"),
    _row(400, "did not match the current version", Lost, "cas", "somebody wrote in between"),
    _row(400, "from non-versioned to versioned", Away, "upgrading", "the mount is being upgraded to KV v2"),
    _row(400, "invalid role or secret id", Refused, "login", "role_id or secret_id is not valid"),
    _row(400, "high complexity", Refused, "too_large", "the secret has too many members"),
    _row((401, 407), "", Refused, "denied", "something before Vault asks for credentials of its own"),
    _row(403, "preflight capability check", Refused, "mount", "no such mount, or the policy allows nothing in it"),
    _row(403, "", Refused, "denied", "the policy denies it"),
    _row(404, "no handler for route", Refused, "mount", "no such mount"),
    _row(404, "namespace not found", Refused, "namespace", "no such namespace"),
    _row(404, "invalid path for a versioned", Lost, "mount_version", "the mount is KV v2 now"),
    _row(404, "", Refused, "mount", "no such path in Vault; look at address, namespace and mount"),
    _row(408, "", Unsure, "unavailable", "the request took too long"),
    _row(BEHIND, "", Away, "index", "the node has not caught up yet"),
    _row(413, "", Refused, "too_large", "the secret is too large"),
    _row(429, "", Away, "quota", "too many requests"),
    _row(500, "value being too large", Refused, "too_large", "the secret is too large for the storage"),
    _row(500, "no space left on device", Unsure, "disk", "Vault's disk is full"),
    _row(range(500, 600), "", Unsure, "unavailable", "Vault or a proxy before it failed"),
    _row(204, "", Lost, "mount_version", "the mount is KV v1 now"),
    _row(range(200, 300), "", Unsure, "garbage", "a success without Vault's answer; is a proxy in between?"),
    _row(range(1000), "", Refused, "request", "the request is not understood; is this Vault?"),
)


def read_reply(response: HttpResponse) -> Reply:
    """Read an HTTP response, whatever its bytes; `retry_after` in seconds, from a Retry-After that is a number."""
    waits = [int(text[:9]) for text in response.header("retry-after") if text.isascii() and text.isdecimal()]
    indexes = [text for text in response.header("x-vault-index") if text.isascii() and text.isprintable()]
    return Reply(
        status=response.status,
        body=None if response.truncated else _json_object(response.body),
        retry_after=min(float(max(waits)), MAX_RETRY_AFTER) if waits else None,
        at=next(map(moment, response.header("date")), None),
        index=next((text for text in indexes if len(text) <= MAX_INDEX), ""),
    )


def classify(reply: Reply, what: str, *, write: bool) -> StoreError:
    """Tell what an answer that is no success means. `what` names the deed and its place, for the message.

    What may or may not have been done matters to a write alone: a read that ends so is merely to be repeated.
    """
    status = BEHIND if reply.is_behind else reply.status
    row = next(row for row in ROWS if status in row.statuses and (not row.phrase or reply.says(row.phrase)))
    kind = Away if row.kind is Unsure and not write else row.kind
    message = f"{what}: {row.message} (HTTP {reply.status})"
    return kind(row.code, message, status=reply.status, retry_after=reply.retry_after)


def lost(error: TransportError, what: str, *, write: bool) -> StoreError:
    """Tell what a request means that got no answer."""
    kind = Unsure if write and error.sent else Away
    return kind(error.code, f"{what}: {error.why}")


def read_found(reply: Reply, *, version: int) -> Found | Absent | None:
    """Read the answer to a read of a KV mount of `version`; `None` when it is neither a secret nor its absence."""
    if version == 1:
        if reply.is_not_found:
            return Absent(version=None)
        return Found(version=None, data=_secrets(reply.data)) if reply.status == 200 and reply.data else None  # noqa: PLR2004  # HTTP
    stated = reply.data.get("metadata")
    metadata = stated if isinstance(stated, dict) else _NOTHING
    current = _version(metadata)
    if reply.is_not_found:
        return Absent(version=0)
    if current is None or reply.status not in {200, 404}:
        return None
    values = reply.data.get("data")
    if not isinstance(values, dict):
        return Absent(version=current)
    marks = metadata.get("custom_metadata")
    return Found(
        version=current,
        data=_secrets(values),
        metadata={k: v for k, v in marks.items() if isinstance(v, str)} if isinstance(marks, dict) else {},
        deletion_time=read_time(metadata.get("deletion_time")),
        age=_age(read_time(metadata.get("created_time")), reply.at),
    )


def read_written(reply: Reply) -> Written | None:
    """Read the answer to a write of KV v2; `None` when it is no acknowledgement."""
    version = _version(reply.data)
    if reply.status != 200 or version is None:  # noqa: PLR2004  # HTTP
        return None
    return Written(version=version, deletion_time=read_time(reply.data.get("deletion_time")))


def token_is_dead(reply: Reply) -> bool:
    """Tell from the answer to lookup-self whether the token is dead.

    A dead token gets `permission denied`; a live one without the right to look gets the same in a list of one.
    """
    return reply.status == 403 and not reply.says("1 error occurred:\n\t* permission denied")  # noqa: PLR2004  # HTTP


def _json_object(body: bytes) -> Mapping[str, Any] | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _age(since: datetime | None, at: datetime | None) -> timedelta:
    """Return how long ago `since` was; none where the clocks of Vault's nodes do not agree on an order."""
    return timedelta() if since is None or at is None else max(at - since, timedelta())


def _version(holder: Mapping[str, Any]) -> int | None:
    version = holder.get("version")
    return version if isinstance(version, int) and not isinstance(version, bool) and version > 0 else None


def _secrets(values: Mapping[str, Any]) -> Mapping[str, Secret]:
    """Wrap each value; one that is no text, which others may have stored, as its JSON text."""
    return {k: Secret(v if isinstance(v, str) else json.dumps(v)) for k, v in values.items()}


def read_time(text: object) -> datetime | None:
    """Read an RFC 3339 time; Vault writes `""` for none, or the year 1."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) and text else None
    except ValueError:
        return None
    return moment if moment and moment.tzinfo and moment.year > 1 else None

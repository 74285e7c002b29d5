"""When what we log in with runs out, as far as it can be found out without an administrator's right.

- AppRole: by a look-up of our own secret ID, which `refresher policy` allows. Where that is denied nothing is known.
- A given token: by its look-up of itself. A JWT: by its own claims. A certificate: by its own dates.
"""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from refresher import tls
from refresher.core.perishable import Perishable
from refresher.core.secret import Secret
from refresher.core.settings import Cluster
from refresher.vault.adapter import Adapter
from refresher.vault.answers import Reply, read_time
from refresher.vault.auth import Login
from refresher.vault.session import Session

GONE: Final = 204  # HTTP: AppRole knows no such secret ID
WITHOUT_ROLE: Final = "does not exist"


class Perishables:
    """Asks about what one cluster's login shows."""

    def __init__(self, *, session: Session, cluster: Cluster, login: Login) -> None:
        self._session = session
        self._auth = cluster.auth
        self._login = login

    async def find(self) -> Perishable | None:
        """Return what is known of it, None where nothing is. Raises StoreError."""
        if self._auth.cert_file is not None:
            begins, ends = tls.validity(self._auth.cert_file)
            return Perishable(what="certificate", issued_at=begins, ends_at=ends)
        shown = await self._login.shown()
        match self._auth.method:
            case "approle" if shown is not None and self._login.role:
                return await self._secret_id(shown)
            case "token":
                reply = await self._session.call("look up the token", lambda to: to.get("/v1/auth/token/lookup-self"))
                return self._token(reply)
            case "jwt" | "kubernetes" if shown is not None:
                return _jwt(shown)
        return None

    async def _secret_id(self, shown: Secret) -> Perishable | None:
        role = quote(self._login.role, safe="")
        path = f"/v1/auth/{self._auth.mount}/role/{role}/secret-id/lookup"
        reply = await self._session.call("look up the secret ID", lambda to: _post(to, path, shown))
        if reply.status == GONE or (reply.status >= 500 and reply.says(WITHOUT_ROLE)):  # noqa: PLR2004  # HTTP
            return Perishable(what="secret_id", gone=True)
        if reply.status != 200:  # noqa: PLR2004  # HTTP
            return None
        uses = reply.data.get("secret_id_num_uses")
        return Perishable(
            what="secret_id",
            issued_at=read_time(reply.data.get("creation_time")),
            ends_at=read_time(reply.data.get("expiration_time")),
            uses_left=uses if isinstance(uses, int) and uses > 0 else None,
        )

    def _token(self, reply: Reply) -> Perishable | None:
        if reply.status != 200:  # noqa: PLR2004  # HTTP
            return None
        begins, most = _epoch(reply.data.get("creation_time")), reply.data.get("explicit_max_ttl")
        ends = read_time(reply.data.get("expire_time")) if self._login.is_final else None
        if begins is not None and isinstance(most, int) and most > 0:
            ends = begins + timedelta(seconds=most)
        uses = reply.data.get("num_uses")
        uses_left = uses if isinstance(uses, int) and uses > 0 else None
        return Perishable(what="token", issued_at=begins, ends_at=ends, uses_left=uses_left)


async def _post(to: Adapter, path: str, shown: Secret) -> Reply:
    reply: Reply = await to.post(path, json={"secret_id": shown.reveal()})
    return reply


def _jwt(token: Secret) -> Perishable | None:
    """Read the claims of a JWT (RFC 7519) that somebody else checks."""
    claims = _claims(token.reveal())
    return Perishable(what="jwt", issued_at=_epoch(claims.get("iat")), ends_at=_epoch(claims.get("exp")))


def _claims(text: str) -> dict[str, Any]:
    payload = text.split(".")[1] if text.count(".") == 2 else ""  # noqa: PLR2004  # header, claims, signature
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _epoch(seconds: object) -> datetime | None:
    try:
        stated = isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds > 0
        return datetime.fromtimestamp(seconds, tz=UTC) if stated else None  # type: ignore[arg-type]  # `stated` says so
    except (OverflowError, ValueError, OSError):
        return None

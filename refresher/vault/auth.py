"""The login to one cluster: one live token for all who ask, renewed at two thirds of its life.

Rules of this module:
- The token comes from the configured login and nowhere else.
- One request for a token at a time, however many wait for it.
- A login that was refused is not tried again for a minute, unless its credential changed: no storm of logins.
- What was logged in for is revoked at the end; a token that was given to us never is.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from hvac.api.auth_methods import AppRole, Token

from refresher.core.errors import (
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
    TransportError,
    UnreadableReferenceError,
)
from refresher.core.model import Reference
from refresher.core.secret import Secret
from refresher.core.settings import Cluster
from refresher.ports import Clock, Http
from refresher.vault.adapter import Adapter
from refresher.vault.answers import Reply, classify, lost, token_is_dead
from refresher.vault.lease import Lease, extended, from_login, from_lookup, is_token

REFUSED_PAUSE: Final = 60.0  # seconds after a refused login
AWAY_PAUSE: Final = 1.0  # seconds after a login without an answer: Vault is asked once a second, not once a job
DEATH_PAUSE: Final = 10.0  # seconds between two tokens that died before their time
KEEP_PAUSE: Final = 60.0  # seconds: the longest sleep of `keep`
KEEP_FLOOR: Final = 0.1  # seconds: the shortest
REVOKE_S: Final = 1.0  # seconds: a stop does not wait for Vault

_REFUSALS: Final = {
    ("approle", 400): "role_id or secret_id is not valid",
    ("approle", 403): "there is no such auth method, or it is not allowed from this address",
    ("token", 403): "the token is not valid, or not from this address",
}


class LocalReader(Protocol):
    """Reads references of this machine (`file:`, `credential:`, `env:`)."""

    def read(self, reference: Reference) -> Secret:
        """Read it afresh; raise UnreadableReferenceError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """The last login that failed: until when it stands, and for which credential."""

    error: StoreError
    until: float
    credential: Secret | None


class Login:
    """One token for one cluster.

    Raises StoreRefusedError with code `login` when the login is refused or its credential can't be read, and
    StoreUnavailableError when Vault gives no answer.
    """

    def __init__(self, *, http: Http, cluster: Cluster, clock: Clock, local: LocalReader) -> None:
        self._http = http
        self._cluster = cluster
        self._auth = cluster.auth
        self._clock = clock
        self._local = local
        self._lock = asyncio.Lock()
        self._lease: Lease | None = None
        self._failure: _Failure | None = None
        self._died = float("-inf")

    async def token(self) -> Secret:
        """Return a token that is alive as far as we know: log in, or renew, when that is due."""
        async with self._lock:
            lease = self._lease
            if lease is None or self._is_replaced(lease):
                lease = await self._begin()
            elif lease.renew_at is not None and self._clock.monotonic() >= lease.renew_at:
                lease = await self._extend(lease)
            self._lease = lease
            return lease.token

    @property
    def index(self) -> str:
        """What a node must have seen to know the token of `token()`; `""`: nobody said."""
        return self._lease.index if self._lease is not None else ""

    @property
    def life_left(self) -> timedelta | None:
        """How long our token lives; None: for ever, or there is none."""
        ends = self._lease.ends if self._lease is not None else None
        return None if ends is None else timedelta(seconds=ends - self._clock.monotonic())

    async def is_dead(self, token: Secret) -> bool:
        """Tell, after a 403, whether `token` is dead; if so, the next `token()` logs in again."""
        async with self._lock:
            if self._lease is None or self._lease.token != token:
                return True
            reply = await self._look_up(token)
            if not token_is_dead(reply):
                return False
            self._lease = None
            now, before = self._clock.monotonic(), self._died
            self._died = now
            if now - before < DEATH_PAUSE:
                message = f"{self._what('log in')}: one token after the other dies at once"
                raise StoreUnavailableError("login", message, status=reply.status, retry_after=DEATH_PAUSE)
            return True

    async def keep(self) -> None:
        """Keep an idle daemon's token alive, for ever: run it in a task group."""
        while True:
            try:
                await self.token()
                renew_at = self._lease.renew_at if self._lease else None
                pause = KEEP_PAUSE if renew_at is None else renew_at - self._clock.monotonic()
            except StoreError as error:
                pause = error.retry_after or AWAY_PAUSE
            await self._clock.sleep(timedelta(seconds=min(max(pause, KEEP_FLOOR), KEEP_PAUSE)))

    async def revoke(self) -> None:
        """Revoke a token that we logged in for, if Vault answers soon; else it ends by itself. Raises nothing."""
        lease, self._lease = self._lease, None
        if lease is None or not lease.ours:
            return
        try:
            async with asyncio.timeout(REVOKE_S):
                await self._ask("revoke the token", Token(self._adapter(lease.token)).revoke_self)
        except (StoreError, TimeoutError):
            return

    def _is_replaced(self, lease: Lease) -> bool:
        """Whether a given token was exchanged for another since; while it can't be read, the old one serves."""
        if self._auth.method != "token":
            return False
        try:
            return self._credential() != lease.token
        except StoreRefusedError:
            return False

    async def _begin(self) -> Lease:
        """Log in, unless a login that failed just now forbids it."""
        credential = self._credential()
        now, failure = self._clock.monotonic(), self._failure
        if failure is not None and now < failure.until and credential == failure.credential:
            error = failure.error
            raise type(error)(error.code, str(error), status=error.status, retry_after=failure.until - now)
        try:
            lease = await self._log_in(credential)
        except StoreError as error:
            pause = REFUSED_PAUSE if isinstance(error, StoreRefusedError) else AWAY_PAUSE
            self._failure = _Failure(error=error, until=self._clock.monotonic() + pause, credential=credential)
            raise
        self._failure = None
        return lease

    async def _log_in(self, credential: Secret | None) -> Lease:
        asked = self._clock.monotonic()
        if self._auth.method == "token" and credential is not None:
            reply = await self._look_up(credential)
            lease = None if token_is_dead(reply) else from_lookup(reply, credential, asked)
        else:
            reply = await self._ask(
                "log in",
                lambda: AppRole(self._adapter()).login(
                    self._auth.role_id,
                    secret_id=credential.reveal() if credential else None,
                    mount_point=self._auth.mount,
                ),
            )
            lease = from_login(reply, asked)
        if lease is not None:
            return lease
        error = classify(reply, self._what("log in"), write=False)
        if not isinstance(error, StoreRefusedError):
            raise error
        why = _REFUSALS.get((self._auth.method, reply.status))
        message = f"{self._what('log in')}: {why} (HTTP {reply.status})" if why else str(error)
        raise StoreRefusedError("login", message, status=reply.status)

    async def _extend(self, lease: Lease) -> Lease:
        """Renew the token; where that is not granted log in again; where that fails too live on while it lives."""
        asked = self._clock.monotonic()
        try:
            renewed = await self._renew(lease, asked)
            if renewed is not None:
                return renewed
            if lease.ours or not lease.is_alive(asked):
                return await self._begin()
        except StoreError:
            if not lease.is_alive(self._clock.monotonic()):
                raise
        return lease.later(self._clock.monotonic())

    async def _renew(self, lease: Lease, asked: float) -> Lease | None:
        if not lease.renewable:
            return None
        reply = await self._ask("renew the token", Token(self._adapter(lease.token)).renew_self)
        return extended(lease, reply, asked)

    async def _look_up(self, token: Secret) -> Reply:
        """Ask what Vault knows of `token`; raise StoreUnavailableError when the answer tells nothing of it."""
        what = "look up the token"
        reply = await self._ask(what, Token(self._adapter(token, index=self.index)).lookup_self)
        if reply.status not in {200, 403}:
            raise classify(reply, self._what(what), write=False)
        return reply

    async def _ask(self, what: str, request: Callable[[], Awaitable[Reply]]) -> Reply:
        try:
            return await request()
        except TransportError as error:
            raise lost(error, self._what(what), write=False) from None

    def _credential(self) -> Secret | None:
        """Read the token or secret_id afresh, without the newline that files end with."""
        reference = self._auth.token if self._auth.method == "token" else self._auth.secret_id
        if reference is None:
            return None
        try:
            text = self._local.read(reference).reveal().strip()
        except UnreadableReferenceError as error:
            raise StoreRefusedError("login", f"{self._what('log in')}: {error}") from None
        if not is_token(text):
            message = f"{self._what('log in')}: {reference}: empty, or with characters that no token has"
            raise StoreRefusedError("login", message)
        return Secret(text)

    def _adapter(self, token: Secret | None = None, *, index: str = "") -> Adapter:
        return Adapter(self._http, self._cluster, token, index=index)

    def _what(self, deed: str) -> str:
        return f"{deed} at {self._cluster.address}"

"""The login to one cluster: one live token for all who ask, renewed at two thirds of its life.

Rules of this module:
- The token comes from the configured login and nowhere else.
- One request for a token at a time, however many wait for it.
- A login that was refused is not tried again for a minute, and then ever longer, unless its credential changed; nor is
  a token that died before its time followed by a second one within a minute: no storm of logins.
- What was logged in for is revoked at the end; a token that was given to us never is.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from hvac.api.auth_methods import Token

from refresher.core.errors import (
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
    TransportError,
)
from refresher.core.secret import Secret
from refresher.core.settings import Cluster
from refresher.ports import Clock, Http, Sink
from refresher.vault import methods
from refresher.vault.adapter import Adapter
from refresher.vault.answers import Reply, classify, lost, token_is_dead
from refresher.vault.credential import Credential, LocalReader
from refresher.vault.lease import Lease, extended, from_login, from_lookup
from refresher.vault.wrapped import Keeper, Nowhere, Wrapped

REFUSED_PAUSES: Final = (60.0, 600.0, 1200.0, 1800.0)
"""Seconds after one refused login, after the next, ...: five in a quarter of an hour lock the role (user lockout)."""
AWAY_PAUSE: Final = 1.0  # seconds after a login without an answer: Vault is asked once a second, not once a job
DEATH_PAUSE: Final = 60.0  # seconds between two tokens that died before their time
KEEP_PAUSE: Final = 60.0  # seconds: the longest sleep of `keep`
KEEP_FLOOR: Final = 0.1  # seconds: the shortest
REVOKE_S: Final = 1.0  # seconds: a stop does not wait for Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """The last login that failed: until when it stands, for which credential, and how often that was refused."""

    error: StoreError
    until: float
    credential: Secret | None
    refusals: int = 0


class Login:
    """One token for one cluster.

    Raises StoreRefusedError with code `login` when the login is refused or its credential can't be read, and
    StoreUnavailableError when Vault gives no answer.
    """

    def __init__(  # noqa: PLR0913  # the ports that a login needs
        self,
        *,
        http: Http,
        cluster: Cluster,
        clock: Clock,
        local: LocalReader,
        keeper: Keeper = Nowhere(),  # noqa: B008  # it has no state
        sink: Sink | None = None,
    ) -> None:
        self._http = http
        self._cluster = cluster
        self._auth = cluster.auth
        self._clock = clock
        self.role = ""  # of the auth method, as the last login was told it
        self._lock = asyncio.Lock()
        self._lease: Lease | None = None
        self._failure: _Failure | None = None
        self._died = float("-inf")
        wrapped = Wrapped(cluster=cluster, keeper=keeper, sink=sink, ask=self._ask, adapter=self._adapter)
        self._shows = Credential(cluster=cluster, local=local, wrapped=wrapped)

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
    def is_final(self) -> bool:
        """Whether the token will not live longer than it was last granted."""
        return self._lease is not None and not self._lease.renewable

    async def shown(self) -> Secret | None:
        """Return what the next login would show. Raises StoreError."""
        async with self._lock:
            return await self._shows.shown(self._shows.read())

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
            now, until = self._clock.monotonic(), self._died + DEATH_PAUSE
            self._died = now
            if now < until:
                message = f"{self._what('log in')}: one token after the other dies at once"
                error = StoreUnavailableError("login", message, status=reply.status, retry_after=until - now)
                self._failure = _Failure(error=error, until=until, credential=self._shows.read())
                raise error
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
        await self._shows.settled()
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
            return self._shows.read() != lease.token
        except StoreRefusedError:
            return False

    async def _begin(self) -> Lease:
        """Log in, unless a login that failed just now forbids it."""
        credential = self._shows.read()
        now, failure = self._clock.monotonic(), self._failure
        if failure is not None and now < failure.until and credential == failure.credential:
            error = failure.error
            raise type(error)(error.code, str(error), status=error.status, retry_after=failure.until - now)
        try:
            lease = await self._log_in(credential)
        except StoreError as error:
            refusals = failure.refusals if failure is not None and credential == failure.credential else 0
            pause = AWAY_PAUSE
            if isinstance(error, StoreRefusedError):
                pause, refusals = REFUSED_PAUSES[min(refusals, len(REFUSED_PAUSES) - 1)], refusals + 1
            until = self._clock.monotonic() + pause
            self._failure = _Failure(error=error, until=until, credential=credential, refusals=refusals)
            raise
        self._failure = None
        return lease

    async def _log_in(self, credential: Secret | None) -> Lease:
        asked = self._clock.monotonic()
        if self._auth.method == "token" and credential is not None:
            reply = await self._look_up(credential)
            lease = None if token_is_dead(reply) else from_lookup(reply, credential, asked)
        else:
            sent = methods.payload(self._auth, await self._shows.shown(credential))
            path = f"/v1/auth/{self._auth.mount}/login"
            reply = await self._ask("log in", lambda: self._adapter().login(path, json=sent))
            lease = from_login(reply, asked)
            self.role = methods.role_of(reply)
        if lease is not None:
            return lease
        error = classify(reply, self._what("log in"), write=False)
        if not isinstance(error, StoreRefusedError):
            raise error
        why = methods.REFUSALS.get((self._auth.method, reply.status))
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

    def _adapter(self, token: Secret | None = None, *, index: str = "") -> Adapter:
        return Adapter(self._http, self._cluster, token, index=index)

    def _what(self, deed: str) -> str:
        return f"{deed} at {self._cluster.address}"

"""The way to PostgreSQL: connections, and what went wrong in one line.

Rules of this module:
- Every connection has deadlines: a server that is gone, or does not speak, holds nobody up.
- An error's text is the library's class and PostgreSQL's code, never a value: a statement may hold a job's name.
"""

import asyncio
import os
import ssl
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import parse_qs, urlsplit

import asyncpg

from refresher import tls
from refresher.core.errors import RefresherError
from refresher.core.model import Channel, Reference
from refresher.core.secret import Secret
from refresher.core.settings import Postgres

CONNECT_S: Final = 5.0
COMMAND_S: Final = 10.0
UPKEEP_S: Final = 300.0  # a million jobs are held against the table in seconds, by a busy server in many more
ROOT_OF_LIBPQ: Final = "~/.postgresql/root.crt"
OLDEST_SERVER: Final = 150_000  # server_version_num
FAILURES: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
# A server that hears nothing of this machine any more lets go of its locks after some 15 s: where nothing is under way
# by the keepalives, and where an answer was under way when the network went, by the fourth. They are the server's own.
ALIVE: Final = {
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "3",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "14000",
}


class FleetError(RefresherError):
    """PostgreSQL can't be reached, or is not what a node needs. The text says what to do."""


def check_owner(dsn: str) -> None:
    """Refuse what is no connection string, or one with a password: every process of the machine could read it."""
    try:
        parts = urlsplit(dsn)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("postgresql", "postgres"):
        raise FleetError("--dsn must begin with postgresql://")
    if parts.password is not None or "password=" in parts.query:
        raise FleetError("--dsn must hold no password: others can read it; write it to ~/.pgpass, or to $PGPASSWORD")


def trust(dsn: str) -> ssl.SSLContext | None:
    """Return the system's certificate authorities where `dsn` wants its server verified and names none itself.

    None: as the library has it, which is as libpq does. Those two look in a home folder, and a service has none.
    """
    asked = parse_qs(urlsplit(dsn).query)
    named = "sslcert" in asked or asked.get("sslrootcert", ["system"]) != ["system"] or os.environ.get("PGSSLROOTCERT")
    usual = os.path.expanduser(ROOT_OF_LIBPQ)  # noqa: PTH111  # Path's raises where there is no home
    if asked.get("sslmode") != ["verify-full"] or named or os.path.exists(usual):  # noqa: PTH110  # or it is closed
        return None
    return tls.context(Channel())


class Database:
    """Where the nodes of a fleet meet. `holder` names this one to an administrator (pg_stat_activity)."""

    def __init__(self, settings: Postgres, *, holder: str, read: Callable[[Reference], Secret]) -> None:
        self.settings = settings
        self._holder = holder
        self._read = read

    @property
    def schema(self) -> str:
        """The schema of everything that is ours."""
        return self.settings.schema

    async def connect(
        self, what: str, dsn: str = "", more: Mapping[str, str] | None = None, *, command_s: float = COMMAND_S
    ) -> asyncpg.Connection:
        """Return a new connection for `what`; `more` are settings of its session. Raises FAILURES.

        A statement takes `command_s` seconds at most; an administrator's, by `dsn`, as long as it takes.
        """
        settings = self.settings
        password = None if dsn or settings.password is None else self._read(settings.password).reveal()
        session = {
            "application_name": f"refresher {what} {self._holder}",
            "statement_timeout": "0" if dsn else f"{command_s * 1000:.0f}",
            "idle_in_transaction_session_timeout": "10000",
            **ALIVE,
            **(more or {}),
        }
        async with asyncio.timeout(CONNECT_S):
            return await asyncpg.connect(
                dsn or settings.dsn,
                password=password,
                ssl=trust(dsn or settings.dsn),
                timeout=CONNECT_S,
                command_timeout=None if dsn else command_s,
                server_settings=session,
            )


async def close(connection: asyncpg.Connection) -> None:
    """Say goodbye, within a moment; then hang up."""
    try:
        await connection.close(timeout=1)
    except FAILURES:
        connection.terminate()


def said(error: BaseException) -> str:
    """Return what went wrong, without any value."""
    if isinstance(error, RefresherError):
        return str(error)
    code = getattr(error, "sqlstate", None)
    hint = _HINTS.get(type(error).__name__, "")
    return f"{type(error).__name__}{f' ({code})' if code else ''}{hint}"


_HINTS: Final = {
    "UndefinedTableError": ": run refresher cluster install",
    "InvalidSchemaNameError": ": run refresher cluster install",
    "InsufficientPrivilegeError": ": run refresher cluster install as the owner; it grants what a node needs",
    "InvalidPasswordError": ": the password, or the certificate, is another one",
    "InvalidCatalogNameError": ": there is no such database",
    "ClientConfigurationError": ": look at dsn: its sslmode, and the files that sslrootcert, sslcert and sslkey name",
    "SSLCertVerificationError": ": the server's certificate is of another host, or of nobody that is trusted: then"
    " name its authority by sslrootcert=FILE in dsn",
}

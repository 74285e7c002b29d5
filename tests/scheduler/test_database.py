"""Whom a node trusts when it speaks to PostgreSQL: a server that says yes to TLS, and then shows a certificate."""

import asyncio
import os
import ssl

import pytest

from refresher import tls, turns
from refresher.core.errors import UnreadableReferenceError
from refresher.core.model import Reference
from refresher.core.settings import Postgres
from refresher.scheduler import administration, database
from refresher.scheduler.database import FAILURES, Database, FleetError, said, trust
from tests.fakes.authority import Authority
from tests.fakes.peer import listening

WHOLE = "postgresql://node@pg.example.com/refresher?sslmode=verify-full"


@pytest.fixture(autouse=True)
def _nobodys_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.mark.parametrize(
    ("dsn", "ours"),
    [
        (WHOLE, True),
        (f"{WHOLE}&sslrootcert=system", True),
        (f"{WHOLE}&sslrootcert=/etc/pg/ca.crt", False),
        (f"{WHOLE}&sslcert=/etc/pg/tls.crt", False),
        (WHOLE.replace("verify-full", "require"), False),
        (WHOLE.partition("?")[0], False),
    ],
)
def test_the_systems_authorities_are_trusted_where_the_address_names_none(dsn, ours):
    made = trust(dsn)
    assert (made is not None) == ours
    if made is not None:
        assert (made.verify_mode, made.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_a_root_of_libpq_counts_where_there_is_one(tmp_path):
    (tmp_path / "home" / ".postgresql").mkdir(parents=True)
    (tmp_path / "home" / ".postgresql" / "root.crt").touch()
    assert trust(WHOLE) is None


def test_a_home_that_is_closed_to_us_has_none(monkeypatch):
    def closed(path, **_):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "stat", closed)  # as it is for a service whose user may not look into its home
    assert trust(WHOLE) is not None


async def attempt(authority: Authority) -> str:
    """Connect to a server with a certificate of `authority`; return what it heard in TLS, or what went wrong."""
    heard = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)  # SSLRequest
        writer.write(b"S")
        try:
            await writer.start_tls(authority.server())
            heard.set_result((await reader.read(4096)).decode(errors="replace"))
        except OSError:
            heard.set_result("")
        writer.close()

    async with listening(serve) as port:
        at = Database(
            Postgres(dsn=f"postgresql://node@127.0.0.1:{port}/refresher?sslmode=verify-full"), holder="x", read=repr
        )
        try:
            await at.connect("test")
        except FAILURES as error:
            return await heard or said(error)
    raise AssertionError("nobody is there")


async def test_a_server_that_the_system_trusts_is_spoken_to(tmp_path, monkeypatch):
    authority = Authority(tmp_path / "ca")
    made = tls.context  # the machine's own, for this test, are these
    monkeypatch.setattr(database.tls, "context", lambda channel: made(type(channel)(ca_file=authority.ca_file)))
    assert "refresher" in await attempt(authority)


async def test_another_is_not_and_it_is_said_what_to_do(tmp_path):
    assert await attempt(Authority(tmp_path / "ca")) == (
        "SSLCertVerificationError: the server's certificate is of another host, or of nobody that is trusted: then"
        " name its authority by sslrootcert=FILE in dsn"
    )


async def test_a_file_that_is_not_there_is_said_in_words():
    at = Database(Postgres(dsn=f"{WHOLE}&sslrootcert=/nowhere/ca.crt"), holder="x", read=repr)
    with pytest.raises(FAILURES) as caught:
        await at.connect("test")
    assert said(caught.value).startswith("FileNotFoundError")


async def test_a_password_that_can_t_be_read_is_met_as_a_postgresql_that_is_away_is():
    """It is read at each connection: `status` shows what this host knows, and `run` waits for it."""
    reference = Reference(kind="credential", target="pg")
    settings = Postgres(dsn=WHOLE, password=reference)

    def read(asked):
        raise UnreadableReferenceError(str(asked), "there is none")

    with pytest.raises(FleetError, match=r"^PostgreSQL: credential:pg: there is none$"):
        await administration.answered(Database(settings, holder="status", read=read), repr)
    assert await turns.unfit(settings, read) == ""

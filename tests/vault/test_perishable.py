"""When what refresher logs in with runs out, and who is told of it."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from refresher.core.perishable import Perishable
from refresher.vault import connect
from tests.fakes.clock import START, VirtualClock
from tests.fakes.http import ScriptedHttp, answer
from tests.keys import certificate_pem
from tests.vault.builders import APPROLE, GIVEN, JWT, Local, a_cluster

ROLE = answer(
    200,
    {"auth": {"client_token": "hvs.1", "lease_duration": 1200, "renewable": True, "metadata": {"role_name": "r"}}},
)
DENIED = answer(403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]})
LONG_AGO, LATER = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)


def secret_id(uses: int = 0, ends: str = "0001-01-01T00:00:00Z"):
    times = {"creation_time": "2026-01-01T00:00:00Z", "expiration_time": ends}
    return answer(200, {"data": {"secret_id_num_uses": uses, **times}})


async def found(auth, *steps, local=None) -> Perishable | None:
    vault = connect(a_cluster(auth), ScriptedHttp(*steps), VirtualClock(), local or Local())
    await vault.login()
    return await vault.perishable()


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (secret_id(), Perishable(what="secret_id", issued_at=LONG_AGO)),
        (secret_id(uses=3), Perishable(what="secret_id", issued_at=LONG_AGO, uses_left=3)),
        (secret_id(ends="2026-12-01T00:00:00Z"), Perishable(what="secret_id", issued_at=LONG_AGO, ends_at=LATER)),
        (answer(204), Perishable(what="secret_id", gone=True)),
        (answer(500, {"errors": ['role "r" does not exist']}), Perishable(what="secret_id", gone=True)),
        (answer(500, {"errors": ["internal error"]}), None),
    ],
)
async def test_a_secret_id_is_looked_up(reply, expected):
    assert await found(APPROLE, ROLE, reply) == expected


async def test_a_secret_id_that_may_not_be_looked_up_is_unknown():
    assert await found(APPROLE, ROLE, DENIED, DENIED) is None
    nameless = answer(200, {"auth": {"client_token": "hvs.1", "lease_duration": 1200, "renewable": True}})
    assert await found(APPROLE, nameless) is None
    assert await found(replace(APPROLE, secret_id=None), ROLE) is None


def token(**members: object):
    return answer(200, {"data": {"ttl": 60, "renewable": True, "creation_time": int(START.timestamp())} | members})


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (token(expire_time="2026-12-01T00:00:00Z"), Perishable(what="token", issued_at=START)),
        (
            token(renewable=False, expire_time="2026-12-01T00:00:00Z"),
            Perishable(what="token", issued_at=START, ends_at=LATER),
        ),
        (
            token(explicit_max_ttl=3600),
            Perishable(what="token", issued_at=START, ends_at=START + timedelta(hours=1)),
        ),
        (token(num_uses=5, creation_time=None), Perishable(what="token", uses_left=5)),
        (token(creation_time=10**20), Perishable(what="token")),
    ],
)
async def test_a_given_token_is_looked_up(reply, expected):
    assert await found(GIVEN, reply, reply) == expected


async def test_a_given_token_that_may_not_look_itself_up_is_unknown():
    assert await found(GIVEN, DENIED, DENIED, DENIED) is None


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        (json.dumps({"exp": int(LATER.timestamp()), "iat": int(LONG_AGO.timestamp())}), LATER),
        ("[1]", None),
        ("{", None),
    ],
)
async def test_a_jwt_says_so_itself(text, ends):
    claims = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    one = await found(JWT, ROLE, local=Local(f"e30.{claims}.c2ln"))
    assert one == Perishable(what="jwt", issued_at=LONG_AGO if ends else None, ends_at=ends)


async def test_a_text_that_is_no_jwt_says_nothing():
    assert await found(JWT, ROLE, local=Local("opaque")) == Perishable(what="jwt")


async def test_a_certificate_has_dates(tmp_path):
    file = tmp_path / "c.pem"
    auth = replace(JWT, method="cert", jwt=None, cert_file=file)
    assert await found(auth, ROLE) == Perishable(what="certificate")
    file.write_text(certificate_pem())
    one = await found(auth, ROLE)
    assert one.issued_at < datetime.now(UTC) < one.ends_at

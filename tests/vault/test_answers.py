"""Every answer of Vault that was seen, or is known, and what it means to a read and to a write."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from refresher.core.errors import (
    StoreAmbiguousError,
    StoreConflictError,
    StoreRefusedError,
    StoreUnavailableError,
    TransportError,
)
from refresher.core.model import Absent, Found, HttpResponse, Written
from refresher.core.secret import Secret
from refresher.vault.answers import classify, lost, read_found, read_reply, read_written, token_is_dead
from tests.fakes.http import answer

AWAY, UNSURE, LOST, REFUSED = StoreUnavailableError, StoreAmbiguousError, StoreConflictError, StoreRefusedError
SEALED = {"errors": ["Vault is sealed"]}
HTML = b"<html>a page of a proxy</html>"
OLD_MOUNT = {"data": None, "warnings": ["Invalid path for a versioned K/V secrets engine. See the API docs ..."]}
NO_NODE = {"errors": ["local node not active but active cluster node not found"]}
TOO_BIG = {"errors": ["put failed due to value being too large; got 156 bytes, max 1048576 bytes"]}
NO_SPACE = {"errors": ['unable to store logs within log store, err: "write /x/raft.db: no space left on device"']}
UPGRADING = {"errors": ["Upgrading from non-versioned to versioned data. This backend will be unavailable for ..."]}
WAITING = {"errors": ["Waiting for the primary to upgrade from non-versioned to versioned data. This backend ..."]}
COMPLEX = {"errors": ["refused JSON input due to high complexity: exceeded maximum number of strings"]}
QUOTA = {"errors": ['request path "kv2/data/q": rate limit quota exceeded']}
DENIED = {"errors": ["1 error occurred:\n\t* permission denied\n\n"]}
DEAD = {"errors": ["permission denied"]}
NO_ROUTE = {"errors": ['no handler for route "nomount/data/x". route entry not found.']}
NO_MOUNT = {"errors": ["preflight capability check returned 403, please ensure client's policies grant access to ..."]}
CAS = {"errors": ["check-and-set parameter did not match the current version"]}
WRAPPED = {"data": None, "wrap_info": {"token": "hvs.CANARY"}}
TLS_PORT = b"Client sent an HTTP request to an HTTPS server.\n"

ROWS = {
    "not initialised": (answer(501, {"initialized": False}), AWAY, AWAY, "uninitialised"),
    "sealed": (answer(503, SEALED), AWAY, AWAY, "sealed"),
    "503 of a proxy": (answer(503, HTML), AWAY, UNSURE, "unavailable"),
    "standby that redirects": (answer(307, location="http://leader:8200/v1/x"), AWAY, AWAY, "standby"),
    "disaster standby": (answer(472, {}), AWAY, AWAY, "standby"),
    "performance standby": (answer(473, {}), AWAY, AWAY, "standby"),
    "leader gone": (answer(500, NO_NODE), AWAY, AWAY, "standby"),
    "redirect to https": (answer(301, HTML, location="https://vault/"), REFUSED, REFUSED, "redirect"),
    "redirect 308": (answer(308), REFUSED, REFUSED, "redirect"),
    "policy denies": (answer(403, DENIED), REFUSED, REFUSED, "denied"),
    "dead token": (answer(403, DEAD), REFUSED, REFUSED, "denied"),
    "mount missing, as root": (answer(404, NO_ROUTE), REFUSED, REFUSED, "mount"),
    "mount missing, as others": (answer(403, NO_MOUNT), REFUSED, REFUSED, "mount"),
    "404 of a proxy": (answer(404, HTML), REFUSED, REFUSED, "mount"),
    "cas mismatch": (answer(400, CAS), LOST, LOST, "cas"),
    "cas required": (answer(400, {"errors": ["check-and-set parameter required"]}), REFUSED, REFUSED, "request"),
    "v1 call on a v2 mount": (answer(404, OLD_MOUNT), LOST, LOST, "mount_version"),
    "v2 call on a v1 mount": (answer(204), LOST, LOST, "mount_version"),
    "upgrade running": (answer(400, UPGRADING), AWAY, AWAY, "upgrading"),
    "upgrade running, on a standby": (answer(400, WAITING), AWAY, AWAY, "upgrading"),
    "no data wrapper": (answer(400, {"errors": ["no data provided"]}), REFUSED, REFUSED, "request"),
    "method not supported": (answer(405, {"errors": ["unsupported operation"]}), REFUSED, REFUSED, "request"),
    "namespace missing": (answer(404, {"errors": ["namespace not found"]}), REFUSED, REFUSED, "namespace"),
    "quota": (answer(429, QUOTA), AWAY, AWAY, "quota"),
    "index not there yet, OpenBao": (answer(429, {"errors": []}), AWAY, AWAY, "index"),
    "index not there yet, Vault": (answer(412, {"errors": []}), AWAY, AWAY, "index"),
    "body too large": (answer(413, {"errors": ["http: request body too large"]}), REFUSED, REFUSED, "too_large"),
    "value too large for raft": (answer(500, TOO_BIG), REFUSED, REFUSED, "too_large"),
    "too many members": (answer(400, COMPLEX), REFUSED, REFUSED, "too_large"),
    "disk full": (answer(500, NO_SPACE), AWAY, UNSURE, "disk"),
    "audit device full": (answer(500, {"errors": ["internal error"]}), AWAY, UNSURE, "unavailable"),
    "http to an https port": (answer(400, TLS_PORT), REFUSED, REFUSED, "request"),
    "response wrapped": (answer(200, WRAPPED), AWAY, UNSURE, "garbage"),
    "secret_id used up": (answer(400, {"errors": ["invalid role or secret ID"]}), REFUSED, REFUSED, "login"),
    "502 with a list": (answer(502, []), AWAY, UNSURE, "unavailable"),
    "502 with a text": (answer(502, "x"), AWAY, UNSURE, "unavailable"),
    "errors that are objects": (answer(502, {"errors": [{"a": 1}]}), AWAY, UNSURE, "unavailable"),
    "errors that are a text": (answer(502, {"errors": "Vault is sealed"}), AWAY, UNSURE, "unavailable"),
    "200 with a page": (answer(200, HTML), AWAY, UNSURE, "garbage"),
    "200 with nothing": (answer(200), AWAY, UNSURE, "garbage"),
    "202": (answer(202, {}), AWAY, UNSURE, "garbage"),
    "504": (answer(504, HTML), AWAY, UNSURE, "unavailable"),
    "408": (answer(408), AWAY, UNSURE, "unavailable"),
    "proxy wants a login": (answer(407), REFUSED, REFUSED, "denied"),
    "401": (answer(401), REFUSED, REFUSED, "denied"),
    "a status that is none": (answer(999), REFUSED, REFUSED, "request"),
}


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.answer(
    "V2",
    "V3",
    "V6",
    "V8",
    "V10",
    "V11",
    "V12",
    "V14",
    "V17",
    "V18",
    "V20",
    "V21",
    "V22",
    "V23",
    "V25",
    "V27",
    "V28",
    "V29",
    "V30",
    "V31",
    "V32",
    "V33",
    "V34",
    "V39",
    "V43",
    "V45",
    "V46",
    "V47",
    "V48",
    "V49",
)
def test_each_answer_means_one_thing(name):
    response, to_read, to_write, code = ROWS[name]
    reply = read_reply(response)

    read, write = (classify(reply, "write secret/x", write=write) for write in (False, True))

    assert (type(read), read.code, read.status) == (to_read, code, response.status)
    assert (type(write), write.code) == (to_write, code)


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.leak("L7")
def test_no_text_of_an_answer_is_handed_on(name):
    response = ROWS[name][0]
    error = classify(read_reply(response), "write secret/x", write=True)

    assert str(error).startswith("write secret/x: ")
    assert "\n" not in str(error)
    assert not [word for word in ("CANARY", "raft.db", "leader:", "errors", "warnings") if word in str(error)]


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.answer("V1", "V43", "V48")
def test_no_failure_is_an_acknowledgement_or_a_secret(name):
    reply = read_reply(ROWS[name][0])

    assert read_written(reply) is None
    assert read_found(reply, version=1) is None
    assert read_found(reply, version=2) is None


def test_a_write_is_done_with_an_integer_version_alone():
    def written(**data: object) -> Written | None:
        return read_written(read_reply(answer(200, {"data": data})))

    assert written(version=3, deletion_time="") == Written(version=3)
    assert written(version=3, deletion_time="2026-11-22T02:32:15.698031121Z") == Written(
        version=3, deletion_time=datetime(2026, 11, 22, 2, 32, 15, 698031, UTC)
    )
    assert [written(version=odd) for odd in ("3", True, None, 3.0, 0)] == [None] * 5
    assert written(version=3, deletion_time="soon") == Written(version=3)
    assert read_written(read_reply(answer(202, {"data": {"version": 3}}))) is None


def secret(status: int = 200, **metadata: object) -> HttpResponse:
    values = {"access_token": "AT", "n": 1} if status == 200 else None
    return answer(status, {"data": {"data": values, "metadata": {"version": 4} | metadata}})


def test_a_secret_of_v2():
    marks = {"managed-by": "refresher", "odd": 1}
    found = read_found(read_reply(secret(custom_metadata=marks, deletion_time="2026-11-22T02:32:15Z")), version=2)

    assert found == Found(
        version=4,
        data={"access_token": Secret("AT"), "n": Secret("1")},
        metadata={"managed-by": "refresher"},
        deletion_time=datetime(2026, 11, 22, 2, 32, 15, tzinfo=UTC),
    )
    assert read_found(read_reply(secret(custom_metadata=None)), version=2).metadata == {}


@pytest.mark.parametrize(
    ("created", "date", "seconds"),
    [
        ("2026-11-21T10:00:00.5Z", "Sat, 21 Nov 2026 10:00:30 GMT", 29.5),
        ("2026-11-21T10:00:31Z", "Sat, 21 Nov 2026 10:00:30 GMT", 0),
        ("2026-11-21T10:00:00Z", "soon", 0),
        ("2026-11-21T10:00:00Z", "Sat Nov 21 10:00:30 2026", 30),
        ("long ago", "Sat, 21 Nov 2026 10:00:30 GMT", 0),
    ],
)
def test_how_long_a_secret_stands_there_is_told_by_vaults_clock_alone(created, date, seconds):
    reply = read_reply(replace(secret(created_time=created), headers=(("date", date),)))
    assert read_found(reply, version=2).age == timedelta(seconds=seconds)


def test_absence_is_what_vault_says_is_absent():
    nothing = read_reply(answer(404, {"errors": []}))

    assert read_found(nothing, version=2) == Absent(version=0)
    assert read_found(nothing, version=1) == Absent(version=None)
    assert read_found(read_reply(secret(404)), version=2) == Absent(version=4)
    assert read_found(read_reply(answer(404)), version=2) is None
    assert read_found(read_reply(answer(404, {"errors": [], "warnings": ["x"]})), version=2) is None


def test_a_secret_of_v1():
    reply = read_reply(answer(200, {"data": {"access_token": "AT"}}))

    assert read_found(reply, version=1) == Found(version=None, data={"access_token": Secret("AT")})


@pytest.mark.parametrize(
    ("body", "parsed"),
    [(b"\xff", None), (b"[" * 100_000, None), (b"[1]", None), (b'{"a": 1}', {"a": 1}), (b"NaN", None), (b"", None)],
)
def test_any_body_can_be_read(body, parsed):
    assert read_reply(HttpResponse(status=200, body=body)).body == parsed


def test_a_body_that_was_cut_is_none():
    assert read_reply(HttpResponse(status=200, body=json.dumps({}).encode(), truncated=True)).body is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ((), None),
        (("1",), 1.0),
        (("5", "60"), 60.0),
        (("99999",), 3600.0),
        (("9" * 5000,), 3600.0),
        (("soon",), None),
        (("-1",), None),
    ],
)
def test_retry_after_is_exposed(headers, seconds):
    response = HttpResponse(status=429, headers=tuple(("retry-after", value) for value in headers))

    assert classify(read_reply(response), "read", write=False).retry_after == seconds


def test_a_lost_answer_is_ambiguous_to_a_write_that_was_sent():
    def end(*, sent: bool, write: bool) -> tuple[type, str]:
        error = lost(TransportError("deadline", "no whole reply within 5 s", sent=sent), "write x", write=write)
        return type(error), error.code

    assert end(sent=True, write=True) == (UNSURE, "deadline")
    assert end(sent=False, write=True) == (AWAY, "deadline")
    assert end(sent=True, write=False) == (AWAY, "deadline")


def test_a_dead_token_is_told_from_a_live_one_without_rights():
    assert token_is_dead(read_reply(answer(403, DEAD)))
    assert token_is_dead(
        read_reply(answer(403, {"errors": ["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]}))
    )
    assert not token_is_dead(read_reply(answer(403, DENIED)))
    assert not token_is_dead(read_reply(answer(200, {"data": {"ttl": 60}})))

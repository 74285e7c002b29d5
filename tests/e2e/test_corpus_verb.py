"""Every recorded reply through the verb: `refresher once --json`, one job for each, in one pass.

At each path stands an older token: what is refused leaves it as it is.
"""

import asyncio
import json
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from functools import cached_property
from hashlib import sha256
from http import HTTPStatus
from time import time
from typing import Any

import pytest

from refresher.core.published import mark, stamp
from tests.fakes import corpus_server
from tests.providers.corpus import LINES, Line

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
THEN = 1_700_000_000  # when the recorded replies came, where a line does not say
DATE = re.compile(r"^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$")
MOMENT = re.compile(rb"\b17000\d{5}\b")
LATE_S = 10  # a request may be so long on its way on a busy machine
FIELDS = ("access_token", "token_type", "expires_in", "expires_in_unit", "scope", "error", "error_ok")


@dataclass(frozen=True)
class Moved(Line):
    """A line whose dates and moments lie as far from when it is played as the recorded ones lay from their own day."""

    @cached_property
    def shift(self) -> int:
        return int(time()) - self.context.get("now", THEN)

    @property
    def body(self) -> bytes:
        return MOMENT.sub(lambda found: str(int(found[0]) + self.shift).encode(), super().body)

    @property
    def response(self):
        plain = super().response
        headers = tuple((name, self._moved(value)) for name, value in plain.headers)
        return type(plain)(status=plain.status, headers=headers, body=plain.body)

    def _moved(self, value: str) -> str:
        if DATE.match(value):
            return format_datetime(parsedate_to_datetime(value) + timedelta(seconds=self.shift), usegmt=True)
        return str(int(value) + self.shift) if MOMENT.fullmatch(value.encode()) else value

    @property
    def job_name(self) -> str:
        return self.id.replace("_", "-u-")


@pytest.mark.fault("F29", "F38", "F39", "F41", "F47")
@pytest.mark.leak("L21")
async def test_every_recorded_reply_ends_as_recorded(site, monkeypatch, measured):
    monkeypatch.setattr(corpus_server, "DRIP_S", 0.5)
    now = int(time())
    lines = [Moved(line.raw) for line in LINES]
    slow = {line.id: line for line in lines if "play" in line.context}
    quick = {line.id: line for line in lines if line.id not in slow}
    async with corpus_server.corpus_server(quick) as one, corpus_server.corpus_server(slow) as other:
        for line in lines:
            add(site, line, (other if line.id in slow else one).url(line))
            leave(site, line.job_name, now)
        site.tables["limits"] = {"per_host": 8, "total": 16}
        site.write()
        command = [sys.executable, "-m", "refresher", "once", "--json", "--config", str(site.config)]
        process = await asyncio.create_subprocess_exec(
            *command, cwd=site.folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        said, logged = await process.communicate()
    site.outputs += [said.decode(), logged.decode()]
    known = (
        site.canaries.planted
    )  # the recorded tokens are words like "mock": what can be told from others is looked for
    site.canaries.planted = {name: text for name, text in known.items() if text.startswith(("secret-of-", "S3CR3T"))}

    ended = {line["job"]: line for line in map(json.loads, said.splitlines())}
    assert len(ended) == len(lines), logged.decode()[-2000:]
    assert one.requests + other.requests == len(lines), "each was asked once"
    differences = {line.id: wrong for line in lines if (wrong := difference(site, line, ended[line.job_name]))}
    site.jobs.clear()
    refused = [line for line in lines if line.raw["expect"]["outcome"] != "accept"]
    pages = [line for line in refused if is_page(line)]
    far = [line for line in lines if line not in refused and ends_far(line, now)]
    measured(
        f"{len(lines)} replies, {len(differences)} otherwise than recorded; {len(refused)} refused, which left the old"
        f" token ({len(pages)} of them HTML with status 200); {len(far)} tokens that end after 2038, as stated"
    )
    assert differences == {}
    assert process.returncode == 1
    assert len(pages) >= 1
    assert len(far) >= 1


def is_page(line: Moved) -> bool:
    return line.raw.get("status") == HTTPStatus.OK and "<html" in line.raw.get("body", "").lower()


def ends_far(line: Moved, now: int) -> bool:
    life = line.expected["token"]["expires_in"]
    return life is not None and now + life >= 2**31


def add(site, line: Moved, url: str) -> None:
    context, name = line.context, line.job_name
    job: dict[str, Any] = {
        "provider": "oauth2",
        "token_url": url,
        "grant": "client_credentials",
        "client_auth": "basic",
        "client_id": "corpus",
        "client_secret": site.secret(
            f"secret-{name}", context.get("client_secret", f"secret-of-{sha256(name.encode()).hexdigest()}")
        ),
        "path": f"tokens/{name}",
    }
    if "sent_refresh_token" in context:
        job |= {"grant": "refresh_token", "refresh_token": site.secret(f"sent-{name}", context["sent_refresh_token"])}
    for key, said in (("scope", "requested_scope"), ("require_scope", "require_scope"), ("response", "profile")):
        if said in context:
            job[key] = context[said]
    site.jobs[name] = job


def old(name: str) -> str:
    return f"the-old-token-of-{name}"


def leave(site, name: str, now: int) -> None:
    """Let readers hold a token of an hour, of ours, that is due and lives for another minute or three."""
    ends = datetime.fromtimestamp(now + 170, UTC)
    data = {
        "access_token": old(name),
        "token_type": "Bearer",
        "issued_at": stamp(ends - timedelta(hours=1)),
        "expires_at": stamp(ends),
        "expires_at_unix": str(int(ends.timestamp())),
        "scope": "",
        "job": name,
        "managed_by": mark("default"),
    }
    site.bao.api("POST", f"{site.mount}/data/tokens/{name}", {"data": data})


def difference(site, line: Moved, ended: dict[str, Any]) -> str:
    """Return how `ended`, and what stands in Vault, differ from what the line expects; nothing when they agree."""
    expect = line.raw["expect"]
    held = site.token(line.job_name)
    if expect["outcome"] != "accept":
        wanted = {"outcome": expect["outcome"].replace("reject", "rejected")}
        code = expect.get("error") or expect.get("reason")
        wanted |= {"error": code} if code else {}
        wanted |= {"retry_after": expect["retry_after"]} if "retry_after" in expect else {}
        found = {key: ended[key] for key in wanted}
        if isinstance(wanted.get("retry_after"), int) and line.shift and found["retry_after"] is not None:
            found["retry_after"] += on_the_way(wanted["retry_after"] - found["retry_after"]) if has_date(line) else 0
        kept = held is not None and held["access_token"] == old(line.job_name) and site.versions(line.job_name) == 1
        return "" if found == wanted and kept else f"wanted {wanted}, found {found}, path {held}"
    token = line.expected["token"]
    if ended["outcome"] != "rotated" or held is None:
        return f"wanted a token, found {ended['outcome']} {ended['error']}"
    found = {"access_token": held["access_token"], "token_type": held["token_type"], "expires_in": life(held)}
    wanted = {key: token[key] for key in found}
    if token["expires_in"] is not None and found["expires_in"] is not None:
        apart = token["expires_in"] - found["expires_in"]
        wanted["expires_in"] -= on_the_way(apart) if MOMENT.search(Line(line.raw).body) else 0
    record = site.read(f"refresher/default/{line.job_name}") or {}
    if token["refresh_token"] is not None:
        found["refresh_token"], wanted["refresh_token"] = record.get("refresh_token"), token["refresh_token"]
    if token["scope"] is not None:
        found["scope"], wanted["scope"] = held["scope"], " ".join(token["scope"])
    return "" if found == wanted else f"wanted {wanted}, found {found}"


def on_the_way(seconds: int) -> int:
    """Return `seconds` when they may lie between a request's leaving and the whole second its reply's dates count from.

    Dates count from when the server plays the line, the daemon's reckoning from when it sent the request.
    """
    return seconds if abs(seconds) <= LATE_S else 0


def has_date(line: Moved) -> bool:
    return line.response.headers != Line(line.raw).response.headers


def life(held: dict[str, str]) -> int | None:
    if "expires_at" not in held:
        return None
    ends, issued = (datetime.fromisoformat(held[name]).astimezone(UTC) for name in ("expires_at", "issued_at"))
    return int((ends - issued).total_seconds())

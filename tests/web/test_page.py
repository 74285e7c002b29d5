"""The page over a real port: what it shows, what it refuses, and that it is in nobody's way."""

import asyncio
import html
import json
import socket
from dataclasses import replace
from datetime import timedelta

import aiohttp
import pytest

from refresher.core.errors import StoreUnavailableError
from refresher.core.perishable import Perishable
from refresher.core.secret import Secret
from refresher.core.shadow import of
from tests.fakes.http import answer
from tests.rotation.house import HOUR, MINUTE, job, path_of
from tests.rotation.stage import SlowStore
from tests.web.stage import Stage

CRM, HR = job("crm"), job("hr/time", "b", provider="oauth2")
EVIL = "<script>alert(1)</script>"


@pytest.fixture
async def get():
    async with aiohttp.ClientSession(trust_env=False) as session:

        async def ask(url: str, *, method: str = "GET", **headers: str):
            async with asyncio.timeout(20), session.request(method, url, headers=headers) as reply:
                return reply.status, await reply.text(), reply.headers

        yield ask


@pytest.fixture
async def stage(tmp_path):
    async with Stage(tmp_path, CRM, HR).serving(after=HOUR) as made:
        yield made


async def test_the_one_answer_and_every_job(stage, get):
    status, text, _ = await get(stage.url)
    assert status == 200
    assert "All fresh" in text
    assert text.index("/jobs/crm") < text.index("/jobs/hr/time")
    assert text.count('role="img"') == 2
    assert "2 tokens in 24 hours, no gap" in text


async def test_a_job_that_is_refused_comes_first_and_says_why(tmp_path, get):
    made = Stage(tmp_path, CRM, HR)
    made.house.provider.refuse = lambda asked: (
        answer(401, {"error": "invalid_client", "error_description": EVIL}) if asked.client == "hr/time" else None
    )
    async with made.serving() as stage:
        await stage.house.advance(HOUR)
        _, text, _ = await get(stage.url)
        assert "1 needs you" in text
        assert text.index("/jobs/hr/time") < text.index("/jobs/crm")
        assert "invalid_client: the client was not recognised" in text
        await stage.recorded()
        status, text, _ = await get(f"{stage.url}/jobs/hr/time")
        assert status == 200
        assert "rejected permanent" in text
        assert "Mend the credential where it stands" in text
        assert EVIL not in text
        status, text, _ = await get(f"{stage.url}/readyz")
        assert (status, text) == (503, "job hr/time: readers find nothing alive\n")


async def test_a_planted_outage_of_three_minutes_shows_as_such(tmp_path, get):
    """Readers' own account of it, the ledger's, and the page's are one."""
    made = Stage(tmp_path, CRM)
    async with made.serving(after=HOUR) as stage:
        house = stage.house
        ends = house.roster.charges["crm"].expires_at
        house.provider.refuse = lambda _asked: answer(503, {})
        await house.advance(ends - house.clock.now() + 3 * MINUTE)
        house.provider.refuse = lambda _asked: None
        house.roster.charges["crm"].retry_now()
        house.roster.offer("crm")
        await house.advance(HOUR)
        await stage.recorded()
        dead = timedelta(seconds=house.expired_seconds)
        assert dead == 3 * MINUTE
        _, text, _ = await get(f"{stage.url}/jobs/crm")
        assert f"Nothing alive from {ends:%Y-%m-%d %H:%M:%S} to {ends + dead:%Y-%m-%d %H:%M:%S} (3m" in text
        assert 'class="gap"' in text


async def test_what_comes_to_an_end_behind_a_job_is_shown(stage, get):
    now = stage.house.clock.now()
    ends = now + timedelta(days=5)
    secret = Perishable(what="client_secret", ends_at=ends)
    stage.house.roster.charges["crm"].perishables = (secret, Perishable(what="refresh_token", ends_at=ends))
    assert f"client secret ends {ends:%Y-%m-%d}; refresh token ends" in (await get(stage.url + "/"))[1]
    page = (await get(stage.url + "/jobs/crm"))[1]
    assert "<dt>client secret</dt><dd><strong>ends" in page
    later = replace(secret, ends_at=now + timedelta(days=90))
    stage.house.roster.charges["crm"].perishables = (later,)
    assert "client secret ends" not in (await get(stage.url + "/"))[1]
    assert "<dt>client secret</dt><dd>ends" in (await get(stage.url + "/jobs/crm"))[1]


async def test_a_login_to_vault_that_comes_to_an_end_is_told_above_the_jobs(stage, get):
    now = stage.house.clock.now()
    stage.logins["eu"] = Perishable(what="token", ends_at=now + timedelta(days=300))
    _, text, _ = await get(stage.url + "/")
    assert "Vault (" not in text
    assert '<div class="answer good"' in text
    ends = now + timedelta(days=5)
    stage.logins[""] = Perishable(what="secret_id", ends_at=ends)
    _, text, _ = await get(stage.url + "/")
    said = "Vault (default): the secret_id that refresher logs in with runs out: put a new one in its place"
    assert f"{said} (it ends {ends:%Y-%m-%d %H:%M} UTC)" in text
    assert "Vault (eu)" not in text
    assert '<div class="answer busy"' in text
    url = f"{stage.url}/events?since={revision_in(text)}"
    async with aiohttp.ClientSession(trust_env=False) as session, session.get(url) as stream:
        charge = stage.house.roster.charges["crm"]
        stage.house.provider.refuse = lambda asked: answer(503, {}) if asked.client == "crm" else None
        await stage.house.advance(charge.last.renew_at - now + MINUTE)
        _, news = await row_of(stream.content, "retrying")
        assert said in news["headline"]


@pytest.mark.leak("L30")
async def test_what_it_is_asked_for_is_escaped(stage, get):
    _, text, _ = await get(f"{stage.url}/?q={EVIL}%22onfocus=alert(1)")
    assert EVIL not in text
    assert html.escape(EVIL) in text
    assert '"onfocus' not in text
    assert "No job has that" in text
    status, text, _ = await get(f"{stage.url}/jobs/{EVIL}")
    assert status == 404
    assert EVIL not in text


async def test_a_search_without_a_script(stage, get):
    _, text, _ = await get(f"{stage.url}/?q=CRM")
    assert "/jobs/crm" in text
    assert "/jobs/hr/time" not in text
    assert "1 of 2" in text


@pytest.mark.parametrize(
    "path", ["/", "/jobs/crm", "/jobs/none", "/metrics", "/healthz", "/static/page.js", "/nothing"]
)
async def test_every_answer_is_fenced_in(stage, get, path):
    _, text, headers = await get(stage.url + path)
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert "Server" not in headers
    assert "Set-Cookie" not in headers
    if "text/html" in headers["Content-Type"]:
        assert "://" not in text.replace("https://vault.example.com:8200", ""), "nothing is loaded from elsewhere"
        assert " style=" not in text
        assert "<script>" not in text


@pytest.mark.parametrize("host", ["evil.example.com", "evil.example.com:9377", "127.0.0.1", "localhost:1", "[::1]"])
@pytest.mark.leak("L30")
async def test_another_name_for_this_machine_is_refused(stage, get, host):
    for path in ("/", "/metrics", "/events", "/healthz", "/nothing"):
        status, text, _ = await get(stage.url + path, Host=host)
        assert status == 421
        assert "crm" not in text


async def test_a_loopback_name_is_taken(stage, get):
    port = stage.url.rpartition(":")[2]
    for host in ("localhost", "LOCALHOST", "127.0.0.1", "[::1]"):
        assert (await get(stage.url, Host=f"{host}:{port}"))[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.leak("L30")
async def test_nothing_can_be_done_here(stage, get, method):
    for path in ("/", "/jobs/crm", "/metrics", "/healthz", "/events"):
        assert (await get(stage.url + path, method=method))[0] == 405


async def test_only_the_package_s_own_files_are_served(stage, get):
    for name in ("../templates/index.html", "%2e%2e/server.py", "page.html", ".page.css"):
        assert (await get(f"{stage.url}/static/{name}"))[0] == 404
    for name, kind in (("page.css", "text/css"), ("page.js", "text/javascript"), ("icon.svg", "image/svg+xml")):
        status, _, headers = await get(f"{stage.url}/static/{name}")
        assert (status, headers["Content-Type"].partition(";")[0]) == (200, kind)


async def test_health_is_the_scheduler_s_own_progress(stage, get):
    assert (await get(f"{stage.url}/healthz"))[:2] == (200, "ok\n")
    assert (await get(f"{stage.url}/readyz"))[:2] == (200, "ok\n")
    stage.house.watch.swept_at -= 90
    status, text, _ = await get(f"{stage.url}/healthz")
    assert status == 503
    assert "the sweep has not gone round" in text


async def test_a_vault_that_is_away_is_told(stage, get):
    def before(_deed, _place):
        raise StoreUnavailableError("sealed", "Vault is sealed", status=503)

    stage.house.store.before = before
    await stage.house.advance(HOUR)
    status, text, _ = await get(f"{stage.url}/readyz")
    assert status == 503
    assert "vault default: away" in text
    assert 'refresher_vault_up{cluster="default"} 0.0' in (await get(f"{stage.url}/metrics"))[1]


async def test_a_destination_that_is_behind_is_told_and_the_others_are_served(tmp_path, get):
    far = replace(path_of("crm"), cluster="far")
    made = Stage(tmp_path, job("crm", destinations=(path_of("crm"), far)), HR)
    made.house.stores["far"] = away = SlowStore(made.house.clock)
    away.away = True
    away.life_left = None
    async with made.serving(after=MINUTE) as stage:
        _, text, _ = await get(f"{stage.url}/jobs/crm")
        assert "crm: retrying" in text
        assert f"<code>{far}</code> lacks the newest token: " in text
        assert f"<code>{path_of('crm')}</code> version 1</dd>" in text
        status, text, _ = await get(f"{stage.url}/readyz")
        assert (status, "vault far: away" in text, "nothing alive" in text) == (503, True, False)
        _, text, _ = await get(f"{stage.url}/metrics")
        assert 'refresher_vault_up{cluster="far"} 0.0' in text
        assert 'refresher_vault_up{cluster="default"} 1.0' in text
        assert 'refresher_token_alive{name="crm"} 1.0' in text, "of the one that nobody could read, nobody knows"
        away.away = False
        await stage.house.advance(MINUTE)
        assert "crm: fresh" in (await get(f"{stage.url}/jobs/crm"))[1]
        assert 'refresher_vault_up{cluster="far"} 1.0' in (await get(f"{stage.url}/metrics"))[1]


async def test_a_job_in_shadow_mode_says_what_it_stands_beside(tmp_path, get):
    place = path_of("crm")
    made = Stage(tmp_path, job("crm", destinations=(of(place),), observed=(place,)))
    made.house.store.put(place, {"token": "T-1"})
    async with made.serving(after=MINUTE) as stage:
        _, text, _ = await get(f"{stage.url}/jobs/crm")
        assert f"<code>{place}</code> 59m left, by its age, has token, which this job does not write" in text
        assert "T-1" not in text


@pytest.mark.leak("L30")
async def test_no_secret_is_on_it(tmp_path, get):
    jobs = [job("crm", client_id="acme-client"), HR]
    async with Stage(tmp_path, *jobs).serving(after=3 * HOUR) as stage:
        issued = {
            one for place in (path_of("crm"), path_of("hr/time")) for one in stage.house.store.stands(place).values()
        }
        secrets = {one for one in issued if one.startswith("AT-")} | {"client-secret", "pass-word", "s3cret"}
        assert len(secrets) == 5
        for path in ("/", "/jobs/crm", "/jobs/hr/time", "/metrics", "/readyz", "/healthz"):
            text = (await get(stage.url + path))[1]
            assert not [one for one in secrets if one in text]
        assert repr(Secret("x")) not in text


async def read_event(content) -> tuple[dict[str, str], dict]:
    """Return the next event of a stream: its fields, and its data."""
    async with asyncio.timeout(20):
        fields: dict[str, str] = {}
        while True:
            line = (await content.readline()).decode()
            assert line, "the stream has ended"
            line = line.rstrip("\n")
            if not line and "event" in fields:
                return fields, json.loads(fields.get("data") or "{}")
            name, _, value = line.partition(": ")
            if name in ("id", "event", "data"):
                fields[name] = value


async def row_of(content, state: str) -> tuple[dict[str, str], dict]:
    """Return the next event with a row of crm in that state."""
    while True:
        fields, news = await read_event(content)
        if f' {state}"' in news["rows"].get("job-crm", ""):
            return fields, news


def revision_in(text: str) -> str:
    return text.partition('data-revision="')[2].partition('"')[0]


async def test_what_changes_comes_by_itself(stage, get):
    _, text, _ = await get(stage.url)
    url = f"{stage.url}/events?since={revision_in(text)}"
    async with aiohttp.ClientSession(trust_env=False) as session, session.get(url) as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"
        assert (await stream.content.readline()) == b": here\n"
        await stage.house.advance(2 * MINUTE)  # nothing has changed
        stage.house.provider.refuse = lambda asked: answer(503, {}) if asked.client == "crm" else None
        charge = stage.house.roster.charges["crm"]
        await stage.house.advance(charge.last.renew_at - stage.house.clock.now() + MINUTE)
        fields, news = await row_of(stream.content, "retrying")
        assert fields["event"] == "jobs"
        assert "Nothing needs you" in news["headline"]
        again = fields["id"]
    again_at = {"url": f"{stage.url}/events", "headers": {"Last-Event-ID": again}}
    async with aiohttp.ClientSession(trust_env=False) as session, session.get(**again_at) as stream:
        stage.house.provider.refuse = lambda _asked: None
        await stage.house.advance(10 * MINUTE)
        await row_of(stream.content, "fresh")


@pytest.mark.parametrize("since", ["", "other-3", "-", "x-1000000000000000000000", "1"])
async def test_a_page_of_another_process_is_told_to_load_again(stage, since):
    async with (
        aiohttp.ClientSession(trust_env=False) as session,
        session.get(f"{stage.url}/events?since={since}") as stream,
    ):
        fields, _ = await read_event(stream.content)
        assert fields["event"] == "restarted"


async def test_a_number_without_end_is_no_position_and_no_defect(stage, get):
    _, text, _ = await get(stage.url)
    since = revision_in(text).partition("-")[0] + "-" + 4400 * "1"
    async with (
        aiohttp.ClientSession(trust_env=False) as session,
        session.get(f"{stage.url}/events?since={since}") as stream,
    ):
        fields, _ = await read_event(stream.content)
        assert fields["event"] == "restarted"
    assert stage.told.named("failing") == []


async def test_a_job_s_own_page_hears_of_that_job_alone(stage, get):
    _, text, _ = await get(f"{stage.url}/jobs/crm")
    url = f"{stage.url}/events?job=crm&since={revision_in(text)}"
    async with aiohttp.ClientSession(trust_env=False) as session, session.get(url) as stream:
        await stage.house.advance(HOUR)
        _, news = await read_event(stream.content)
        assert news == {"order": None} or "rows" not in news


async def test_connections_without_end_are_turned_away_and_rotations_go_on(stage):
    port = int(stage.url.rpartition(":")[2])
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(150)]
    try:
        async with asyncio.timeout(20):
            while sum(reader.at_eof() for reader, _ in silent) < 50:  # noqa: ASYNC110  # no one event tells of all
                await asyncio.sleep(0.01)
        assert 50 <= sum(reader.at_eof() for reader, _ in silent) <= 55
        before = stage.house.asked("crm")
        await stage.house.advance(HOUR)
        assert stage.house.asked("crm") > before
    finally:
        for _, writer in silent:
            writer.close()


async def test_a_page_that_fails_is_told_of_and_no_more(stage, get, monkeypatch):
    monkeypatch.setattr("refresher.web.pages.headline", lambda *_: 1 / 0)
    status, text, _ = await get(stage.url)
    assert (status, text) == (500, "This failed; the log says where.\n")
    (event,) = stage.told.named("failing")
    assert event.fields["type"] == "ZeroDivisionError"
    monkeypatch.setattr("refresher.web.pages.headline", lambda *_: ().index(1))
    for _ in range(2):
        await get(stage.url)
    told = [(one.level, one.fields["type"]) for one in stage.told.named("failing")]
    assert told == [("error", "ZeroDivisionError"), ("error", "ValueError"), ("debug", "ValueError")]
    await stage.house.advance(HOUR)
    assert stage.house.asked("crm") > 1


async def test_a_ledger_that_is_gone_leaves_a_page(stage, get):
    for file in stage.folder.glob("ledger*"):
        file.unlink()  # and not cut short in place: what SQLite has mapped of it would end the process
        file.write_bytes(b"no database")
    status, text, _ = await get(stage.url)
    assert status == 200
    assert "/jobs/crm" in text
    assert (await get(f"{stage.url}/jobs/crm"))[0] == 200


async def test_on_a_unix_socket_for_owner_and_group(tmp_path):
    path = tmp_path / "web.sock"
    old = socket.socket(socket.AF_UNIX)
    old.bind(str(path))
    old.close()  # what a daemon that was killed leaves behind
    async with Stage(tmp_path, CRM, listen=str(path)).serving():
        assert path.stat().st_mode & 0o777 == 0o660
        connector = aiohttp.UnixConnector(str(path))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get("http://any.example.com/") as reply,
        ):
            assert reply.status == 200
    assert not path.exists()


async def test_a_port_that_is_taken_is_told_of_once_and_waited_for(tmp_path, get):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        made = Stage(tmp_path, CRM, listen=f"127.0.0.1:{other.getsockname()[1]}")
        async with made.serving() as stage:
            (event,) = [one for one in stage.told.named("started") if "warning" in one.fields]
            assert "Address already in use" in event.fields["warning"]
            await stage.house.advance(2 * MINUTE)
            assert stage.house.asked("crm") == 1
            other.close()
            await stage.house.advance(timedelta(seconds=31))
            await stage.listening()
            assert (await get(stage.url))[0] == 200
            assert len([one for one in stage.told.named("started") if "warning" in one.fields]) == 1


async def test_only_the_head_of_a_page(stage, get):
    for path in ("/", "/jobs/crm", "/metrics", "/healthz"):
        status, text, headers = await get(stage.url + path, method="HEAD")
        assert (status, text) == (200, "")
        assert headers["Content-Security-Policy"]


async def test_pages_that_are_open_are_counted(stage, get):
    _, text, _ = await get(stage.url)
    url = f"{stage.url}/events?since={revision_in(text)}"
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(trust_env=False, connector=connector) as session:
        streams = [await session.get(url) for _ in range(32)]
        assert {one.status for one in streams} == {200}
        assert (await get(url))[0] == 503
        assert (await get(stage.url))[0] == 200
        for one in streams:
            one.close()


@pytest.mark.parametrize("path", ["/", "/events"])
async def test_what_fails_half_way_is_told_of_too(stage, get, path, monkeypatch):
    _, text, _ = await get(stage.url)
    seen: list[object] = []

    def broken(*args, **_named):
        seen.append(args)
        if len(seen) > (0 if path == "/events" else 1):
            raise ZeroDivisionError
        return "<li></li>"

    monkeypatch.setattr("refresher.web.front.HELPING", 1)
    monkeypatch.setattr("refresher.web.pages.Pages.rows", broken)
    monkeypatch.setattr("refresher.web.pages.Pages.updates", broken)
    how = {"url": stage.url + path, "params": {"since": revision_in(text)}}
    async with aiohttp.ClientSession(trust_env=False) as session, session.get(**how) as reply:
        assert reply.status == 200
        await stage.house.advance(HOUR)
        async with asyncio.timeout(20):
            await reply.read()
    (event,) = stage.told.named("failing")
    assert event.fields["type"] == "ZeroDivisionError"
    assert stage.house.asked("crm") > 1

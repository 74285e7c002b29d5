"""The page as a person has it: a real daemon, and Debian's Chromium, with 3, 40 and 1,000 jobs."""

import time
from contextlib import contextmanager

import httpx
import pytest

from tests.e2e.chromium import chromium
from tests.servers.node import FOLDER
from tests.web import record
from tests.web.stage import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.host, pytest.mark.timeout(600)]

AXE = FOLDER / "node_modules" / "axe-core" / "axe.min.js"
WIDTHS = (360, 800, 1400)
OUTAGE = "job-0001"
FIRST_PAINT_MS = 1000
SEARCHED = 40  # jobs: a search of the pages of more for all their secrets takes a minute, and finds no more
RUN_AXE = "axe.run(document, {resultTypes: ['violations']}).then((found) => { window.axeFound = found; });"


@pytest.fixture
def browser(tmp_path):
    with chromium(tmp_path / "profile") as one:
        yield one


@contextmanager
def a_daemon(site, provider, count: int):
    """Run a daemon with that many jobs and a day's history; yield the page's address, and the planted gap."""
    names = [f"job-{number:04}" for number in range(count)]
    for number, name in enumerate(names):
        site.add(name, provider, ttl=24 if number == 0 else 3600)
    port = free_port()
    site.tables["web"] = {"listen": f"127.0.0.1:{port}"}
    site.tables["limits"] = {"per_host": 16}
    gap = record.write(site.folder / "state", names, gap_in=OUTAGE)
    with site.daemon() as daemon:
        daemon.wait_for("started", within=200, jobs=count)
        url = f"http://127.0.0.1:{port}"
        ends = time.monotonic() + 200
        while httpx.get(f"{url}/readyz", trust_env=False).status_code != 200:
            assert time.monotonic() < ends, httpx.get(f"{url}/readyz", trust_env=False).text[:500]
            time.sleep(0.2)  # it is asked as a load balancer asks
        yield url, gap
        for path in () if count > SEARCHED else ("/", "/metrics", "/readyz", f"/jobs/{OUTAGE}"):
            site.outputs.append(httpx.get(url + path, trust_env=False).text)
        assert daemon.stop() == 0


def violations(browser) -> list[str]:
    """Return what axe-core finds wrong with the page, in words."""
    browser.run("window.axeFound = null;")
    browser.run(AXE.read_text("utf-8") + RUN_AXE)
    browser.wait_until("return window.axeFound !== null", within=200)
    found = browser.run("return window.axeFound.violations.map((one) => one.id + ': ' + one.help + ' ' + "
                        "one.nodes.slice(0, 3).map((node) => node.target.join(' ')).join(', '))")  # fmt: skip
    assert browser.run("return window.axeFound.testEngine.name") == "axe-core"
    return found


@pytest.mark.parametrize("count", [3, 40, 1000])
def test_the_page(site, smartdocumentor, browser, count, tmp_path, measured):
    with a_daemon(site, smartdocumentor, count) as (url, gap):
        for path in ("/", f"/jobs/{OUTAGE}"):
            for width in WIDTHS:
                for dark in (False, True):
                    browser.view(width, 900, dark=dark)
                    browser.open(url + path)
                    name = f"{count}-{'job' if path != '/' else 'all'}-{width}-{'dark' if dark else 'light'}.png"
                    (tmp_path / name).write_bytes(browser.picture())
                    wide = browser.run(
                        "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
                    )
                    assert wide <= 0, f"{path} is {wide} too wide at {width}"
                    if count < 1000 or (path == "/" and not dark and width == WIDTHS[-1]):
                        assert violations(browser) == []
        browser.view(1400, 900)
        browser.open(url)
        assert browser.run("return document.querySelectorAll('.job').length") == count
        paint = browser.wait_until(
            "const all = performance.getEntriesByType('paint');"
            "return all.length && Math.max(...all.map((one) => one.startTime))"
        )
        size = browser.run("return performance.getEntriesByType('navigation')[0].decodedBodySize")
        measured(f"{count} jobs: first paint after {paint:.0f} ms, {size / 1000:.0f} kB")
        assert paint < FIRST_PAINT_MS
        assert "All fresh" in browser.run("return document.title")

        browser.open(f"{url}/jobs/{OUTAGE}")
        text = browser.run("return document.getElementById('main').innerText")
        began, ended = gap
        assert f"Nothing alive from {began:%Y-%m-%d %H:%M:%S} to {ended:%Y-%m-%d %H:%M:%S} (3m)" in text
        drawn = browser.run("return document.querySelector('.line.big .gap').getBoundingClientRect().width")
        assert drawn >= 2, "it can be seen"


def test_it_is_live(site, smartdocumentor, browser, tmp_path):
    with a_daemon(site, smartdocumentor, 3) as (url, _):
        browser.view(1400, 900)
        browser.open(url)
        browser.wait_until("return document.getElementById('live').textContent === 'live'")
        before = browser.run("return document.getElementById('job-job-0000').dataset.marked = 'old'")
        assert before == "old"
        browser.wait_until("return !document.getElementById('job-job-0000').dataset.marked", within=40)
        assert browser.run("return document.querySelectorAll('.job').length") == 3
        smartdocumentor.control(client="job-0000-client", fail={"status": 503, "times": 100})
        browser.wait_until("return document.getElementById('job-job-0000').className.includes('busy')", within=40)
        browser.wait_until("return /retrying|needs you/i.test(document.getElementById('answer').textContent)")
        browser.wait_until("return document.title.includes('needs you')", within=60)
        assert browser.run("return document.querySelector('.job').id") == "job-job-0000", "the worst comes first"
        for dark in (False, True):
            browser.view(1400, 900, dark=dark)
            assert violations(browser) == [], "a page with troubles is as readable"
        with chromium(tmp_path / "second") as other:
            for dark in (False, True):
                other.view(800, 900, dark=dark)
                other.open(f"{url}/jobs/job-0000")
                assert "What failed, and what to do" in other.run("return document.body.innerText")
                assert violations(other) == []
        smartdocumentor.control(client="job-0000-client", fail=None)
        browser.wait_until("return document.title.includes('All fresh')", within=90)


def test_without_a_script_and_by_keyboard(site, smartdocumentor, browser):
    with a_daemon(site, smartdocumentor, 3) as (url, _):
        browser.view(800, 900)
        browser.open(url)
        reached = []
        for _ in range(8):
            for kind in ("keyDown", "keyUp"):
                browser.command(
                    "Input.dispatchKeyEvent", {"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
                )
            reached.append(browser.run("return document.activeElement.textContent || document.activeElement.id"))
        assert reached == ["Skip to the jobs", "refresher", "q", "Find", "job-0000", "job-0001", "job-0002", "metrics"]
        browser.command("Emulation.setScriptExecutionDisabled", {"value": True})
        browser.open(f"{url}/?q=0001")
        browser.command("Emulation.setScriptExecutionDisabled", {"value": False})
        assert browser.run("return document.querySelectorAll('.job').length") == 1
        assert browser.run("return document.body.innerText").count("stands still without JavaScript") == 1

"""A jobs.toml that nobody can have meant: the old jobs run on, one alert says why, and force overrules doubts alone."""

import os
import signal
import threading
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path

import pytest

from refresher import config, reload
from refresher.config import files
from tests.rotation.running import FIRST, SECOND, Site

NOBODY = 65534
TEN = {f"job{number}": {"path": f"tokens/job{number}", "client_id": f"job{number}"} for number in range(10)}


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site(tmp_path, monkeypatch)
    made.write(first=FIRST)
    return made


@contextmanager
def as_nobody():
    """Be somebody whom a mode can keep out; root is not."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def half_written(file: Path) -> None:
    text = file.read_bytes()
    file.write_bytes(text[: len(text) * 2 // 3])


def unreadable(file: Path) -> None:
    file.chmod(0)


def not_utf8(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"first", b"f\xffrst", 1))


def utf16_with_bom(file: Path) -> None:
    file.write_bytes(file.read_text().encode("utf-16"))


def large(file: Path) -> None:
    with file.open("ab") as stream:
        stream.truncate(100 * 2**20)


def directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


def gone(file: Path) -> None:
    file.unlink()


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


def deep(file: Path) -> None:
    file.write_text("x = " + "[" * 100_000)


KINDS = (empty, half_written, unreadable, not_utf8, utf16_with_bom, large, directory, loop, gone, pipe, deep)


@pytest.mark.fault("F52")
@pytest.mark.parametrize("spoil", KINDS, ids=lambda one: one.__name__)
async def test_a_file_that_can_not_be_used_is_one_alert_and_disturbs_no_job(site: Site, spoil, measured):
    whole = site.file.read_bytes()
    async with site.running():
        spoil(site.file)
        with as_nobody() if spoil is unreadable else nullcontext():
            for _ in range(3):
                await site.reload()
        assert [one.level for one in site.sink.named("reload_refused")] == ["error", "info", "info"]
        mistakes = site.told("reload_refused")["mistakes"]
        assert mistakes
        assert len(set(mistakes)) == len(mistakes)
        assert all(one.startswith(f"{site.file}: ") for one in mistakes)
        await site.clock.advance(timedelta(hours=2))
        requests, alerts = (
            len(site.provider.requests("first")),
            [one.level for one in site.sink.named("reload_refused")].count("error"),
        )
        measured(f"{spoil.__name__}, three times: {alerts} alert, {requests} requests of the old job in two hours")
        assert requests == 3, "the old job runs on"
        if site.file.is_dir():
            site.file.rmdir()
        site.file.unlink(missing_ok=True)
        site.file.write_bytes(whole)
        site.file.chmod(0o600)
        await site.reload()
        assert site.told("reloaded") == {
            "jobs": 1,
            "added": 0,
            "removed": 0,
            "changed": 0,
            "needs_restart": (),
            "refused": 3,
        }
    assert not site.sink.named("expired")


@pytest.mark.fault("F52")
async def test_a_byte_order_mark_is_no_mistake(site: Site):
    async with site.running():
        site.file.write_bytes(b"\xef\xbb\xbf" + site.file.read_bytes())
        await site.reload()
        assert site.told("reloaded")["jobs"] == 1


async def test_another_mistake_is_another_alert(site: Site):
    async with site.running():
        for text in ("[jobs", "[jobs", "= 1", "[jobs"):
            site.write(text)
            await site.reload()
        assert [one.level for one in site.sink.named("reload_refused")] == ["error", "info", "error", "error"]


async def test_a_mistake_of_ours_in_reading_ends_nobody(site: Site, monkeypatch):
    async with site.running():
        with monkeypatch.context() as broken:
            broken.setattr(config, "load", lambda _file: {}["a defect"])
            await site.reload()
        assert site.told("reload_refused")["mistakes"] == (f"{site.file}: cannot be read: KeyError",)
        await site.reload(signal.SIGUSR2)
        assert site.told("reloaded")["refused"] == 1


@pytest.mark.parametrize(("left", "taken"), [(8, True), (7, False), (1, False)])
async def test_the_loss_of_more_than_a_fifth_of_the_jobs_needs_force(site: Site, left: int, taken: bool):  # noqa: FBT001  # a case
    site.write(**TEN)
    async with site.running():
        site.write(**dict([*TEN.items()][:left]), new={"path": "tokens/new", "client_id": "new"})
        await site.reload()
        if not taken:
            (said,) = site.told("reload_refused")["mistakes"]
            assert f"{10 - left} of 10 jobs are gone (job{left}, " in f"{said}, "
            assert "SIGUSR2" in said
            assert not site.sink.named("reloaded")
            await site.reload(signal.SIGUSR2)
        told = site.told("reloaded")
        assert (told["jobs"], told["added"], told["removed"]) == (left + 1, 1, 10 - left)
        assert told["orphaned"] == tuple(f"secret/tokens/job{number}" for number in range(left, 10))


async def test_force_overrules_no_mistake(site: Site):
    async with site.running():
        site.write("")
        await site.reload(signal.SIGUSR2)
        assert site.told("reload_refused")["jobs"] == 1


async def test_an_include_that_matches_nothing_any_more_needs_force(site: Site):
    folder = site.file.parent / "jobs.d"
    folder.mkdir()
    site.write(**TEN)
    main = 'include = ["jobs.d/*.toml", "more.d/*.toml"]\n' + site.file.read_text()
    site.write(main)
    more = folder / "one.toml"
    more.write_text(main[main.index("[jobs.job0]") : main.index("[jobs.job1]")].replace("job0", "extra"))
    more.chmod(0o600)
    async with site.running():
        more.rename(folder / "one.off")
        await site.reload()
        (said,) = site.told("reload_refused")["mistakes"]
        assert said.startswith(f"{site.file}: include: no file matches jobs.d/*.toml, where 1 did before; ")
        await site.reload(signal.SIGUSR2)
        assert (site.told("reloaded")["removed"], site.told("reloaded")["jobs"]) == (1, 10)
        await site.reload()
        assert len(site.sink.named("reload_refused")) == 1, "it matched nothing before, either"


async def test_a_certificate_that_can_not_be_read_changes_no_cluster(site: Site):
    async with site.running():
        site.tables["vault"]["address"] = "https://new.example.com"
        site.tables["clusters.eu"] = site.tables["vault"] | {"ca_file": "/nowhere/ca.pem"}
        connect, calls = site.connect, []
        site.write(first=FIRST)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("refresher.parts.Channels", refuses_files(site, calls))
            await site.reload()
        assert calls == [None, "/nowhere/ca.pem"]
        assert "/nowhere/ca.pem" in str(site.told("reload_refused")["mistakes"])
        await site.clock.advance(timedelta(hours=1))
        assert site.token("first", 0) == "AT-first-2", "the old cluster is served on"
        assert site.connect == connect


def refuses_files(site: Site, calls: list):
    from refresher.core.errors import UnreadableReferenceError  # noqa: PLC0415  # for this one test

    def channels(*, usual, **_):
        calls.append(usual.ca_file and str(usual.ca_file))
        if usual.ca_file:
            raise UnreadableReferenceError(str(usual.ca_file), "no such file")
        return site.provider

    return channels


def test_many_mistakes_fit_one_line():
    texts = tuple(f"/etc/refresher/jobs.toml: [jobs.{number}] path: " + "is wrong " * 20 for number in range(500))
    shown = reload.fitting(texts, "refresher check names them all")
    assert sum(map(len, shown)) < 14_000
    assert len(shown) <= 100
    assert shown[:-1] == texts[: len(shown) - 1]
    assert shown[-1] == f"and {500 - len(shown) + 1} more: refresher check names them all"
    assert reload.fitting(texts[:3], "") == texts[:3]


@pytest.mark.fault("F54")
def test_a_file_that_is_replaced_while_it_is_read_is_the_old_one_or_the_new_one(site: Site, monkeypatch):
    """Two files that differ at their start and at their end, renamed into place as fast as can be."""
    versions = []
    for word in ("old", "new"):
        site.write(first=FIRST | {"scope": word}, **TEN, last=SECOND | {"scope": word})
        versions.append(site.file.read_bytes())
    opened = []
    real = files._opened
    monkeypatch.setattr(files, "_opened", lambda path: opened.append(path) or real(path))
    stop = threading.Event()

    def replace_on_and_on() -> None:
        draft, number = site.file.with_suffix(".draft"), 0
        while not stop.is_set():
            number += 1
            draft.touch(mode=0o600)
            draft.write_bytes(versions[number % 2])
            draft.rename(site.file)

    writer = threading.Thread(target=replace_on_and_on)
    writer.start()
    try:
        seen = []
        while len(seen) < 300 or len({jobs["first"].scope for jobs in seen}) < 2:
            seen.append(config.load(site.file).jobs)
    finally:
        stop.set()
        writer.join()
    mixed = [jobs for jobs in seen if jobs["first"].scope != jobs["last"].scope]
    assert not mixed
    assert len(opened) == len(seen), "each file is opened once for each reading"


@pytest.mark.fault("F54")
async def test_a_file_that_is_cut_anywhere_disturbs_no_job(site: Site):
    whole = site.file.read_bytes()
    async with site.running():
        for cut in range(0, len(whole), max(len(whole) // 40, 1)):
            site.file.write_bytes(whole[:cut])
            await site.reload()
        site.file.write_bytes(whole)
        await site.reload()
        assert site.told("reloaded")["jobs"] == 1
        await site.clock.advance(timedelta(hours=1))
        assert len(site.provider.requests("first")) == 2
    assert len(site.sink.named("started")) == 1

"""What a person asks of the running daemon: it does it, says so, tells who asked, and nothing else."""

import json
import os

import pytest

from tests.e2e.site import Site

pytestmark = pytest.mark.e2e


def asked(site: Site, *words: str, token: str | None = None) -> tuple[int, list[dict], str]:
    """Run a verb with --json; return its exit code, its lines, and what it said on standard error."""
    done = site.run(*words, "--json", **({} if token is None else {"input": token}))
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def settled(daemon, count: int) -> None:
    """Wait until so many tokens were written, in whatever order."""
    for _ in range(count):
        daemon.wait_for("rotated")


def test_a_day_of_break_glass(site, smartdocumentor):
    """One daemon, and each of its verbs: rotate and its cooldown, put, pause, release, resume; the audit names us."""
    for name in ("api", "other"):
        site.add(name, smartdocumentor)
    with site.daemon() as daemon:
        settled(daemon, 2)
        code, lines, _ = asked(site, "rotate", "api")
        assert (code, [(one["outcome"], one["reason"]) for one in lines]) == (0, [("rotated", "forced")])
        code, lines, _ = asked(site, "rotate", "--provider", "smartdocumentor", "--yes")
        assert code == 1, "one of the two is in its cooldown"
        ends = {one["job"]: one for one in lines}
        assert {name: one["reason"] for name, one in ends.items()} == {"api": "cooldown", "other": "forced"}
        assert 60 < ends["api"]["retry_after"] <= 120, "it says when"
        assert (site.versions("api"), site.versions("other")) == (2, 2)

        token = site.canaries.plant("a token by hand")
        code, lines, _ = asked(site, "put", "api", "--expires-in", "30m", token=token + "\n")
        assert (code, [(one["outcome"], one["reason"]) for one in lines]) == (0, [("rotated", "put")])
        assert site.token("api")["access_token"] == token
        assert site.token("api")["managed_by"] == "refresher/default"

        assert site.run("pause", "api", "--until", "2h").returncode == 0
        assert site.run("release", "other").returncode == 0
        assert site.token("other").keys() >= {"access_token", "expires_at"}
        assert not site.token("other").keys() & {"job", "managed_by"}, "the mark is gone, the token is not"
        code, rows, source = asked(site, "status")
        assert "from the running daemon" in source
        assert {one["job"]: one["state"] for one in rows} == {"api": "paused", "other": "unmanaged"}
        assert asked(site, "rotate", "other")[1][0]["reason"] == "released"

        daemon.wait_for("asked", verb="rotate", job="other", error="released")  # told by a thread of its own
        told = daemon.lines("asked")
        assert [(line["verb"], line["job"], line.get("error")) for line in told] == [
            ("rotate", "api", None),
            ("rotate", "api", "cooldown"),
            ("rotate", "other", None),
            ("put", "api", None),
            ("pause", "api", None),
            ("release", "other", None),
            ("rotate", "other", "released"),
        ]
        assert {line["uid"] for line in told} == {os.getuid()}
        daemon.process.kill()
        daemon.process.wait()
    # killed: its sockets lie about, and its orders count still
    assert (site.folder / "state" / "control-default.sock").is_socket()
    assert "no daemon runs" in site.run("rotate", "api").stderr
    states = {one["job"]: one["state"] for one in asked(site, "status")[1]}
    assert states == {"api": "paused", "other": "unmanaged"}
    with site.daemon() as daemon:
        daemon.wait_for("started", jobs=2)
        assert site.run("resume", "api").returncode == 0, "the stale sockets were replaced"
        assert {one["job"]: one["state"] for one in asked(site, "status")[1]} == {"api": "fresh", "other": "unmanaged"}
        assert asked(site, "once")[0] == 1, "other is nobody's business now"
        assert asked(site, "once", "api")[0] == 0
        assert daemon.stop() == 0
    assert not list((site.folder / "state").glob("*.sock"))
    assert smartdocumentor.stats().total == 4

"""The packages in a real systemd: installed, configured, upgraded over a running daemon, removed, purged."""

import subprocess
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from refresher import __version__
from refresher.cli.systemd import for_program
from refresher.demo.openbao import start
from tests.servers.provider import Provider
from tests.systemd import install
from tests.systemd.box import Box, outside
from tests.systemd.host import Host
from tests.systemd.test_service import until

pytestmark = pytest.mark.timeout(300)
BUILT = {"deb": install.deb, "rpm": install.rpm}
REMOVE = {"deb": ("dpkg", "--remove", "refresher"), "rpm": ("rpm", "--erase", "--nodeps", "refresher")}
UNITS = ("refresher.service", "refresher-once.timer", "refresher-once.service")


@pytest.fixture
def bare(boot: Callable[[], Box], tmp_path: Path) -> Iterator[tuple[Box, Callable[[], Host], Provider]]:
    """A systemd without refresher; a real Vault and a provider on its loopback; and what makes a host of it."""
    box = boot()
    with outside():  # a box's network reaches no package index
        install.staged(install.python_of(box))
    hosts: list[Host] = []
    (tmp_path / "bao").mkdir()
    (tmp_path / "provider").mkdir()
    with box.network(), start(tmp_path / "bao") as bao:
        provider = Provider("semansys", tmp_path / "provider")

        def configured() -> Host:
            bao.mount("host")
            hosts.append(Host(box, bao, "host"))
            return hosts[0]

        yield box, configured, provider
        for host in hosts:
            host.outputs.append(host.log)
            host.check_outputs()
        provider.stop()


def resident(box: Box, pid: str) -> float:
    """Return how many MB of memory a process takes."""
    status = box.run("cat", f"/proc/{pid}/status").stdout
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1000


@pytest.mark.host
@pytest.mark.fault("F5")
@pytest.mark.parametrize("kind", ["deb", pytest.param("rpm", marks=pytest.mark.nightly)])
def test_its_life_on_a_host(bare, packages, kind, measured):  # noqa: PLR0915  # one life, in its order
    box, configured, provider = bare
    package = BUILT[kind](packages, install.python_of(box))

    # installed: nothing runs, and nothing would
    install.add(box, package)
    assert [box.show(unit, "ActiveState")[0] for unit in UNITS] == ["inactive"] * 3
    enabled = box.run("systemctl", "is-enabled", *UNITS, check=False).stdout.split()
    assert enabled == ["disabled", "disabled", "static"]
    assert box.run("refresher", "--version").stdout == f"refresher {__version__}\n"
    unit = (install.UNITS / UNITS[0]).read_text()
    assert box.run("refresher", "systemd", "print").stdout == for_program(unit, Path("/usr/bin/refresher"))
    assert box.run("systemd-analyze", "verify", "--man=no", *UNITS).stderr == ""
    unconfigured = box.run("refresher", "check", check=False)
    assert (unconfigured.returncode, "jobs.toml" in unconfigured.stderr) == (78, True)
    assert box.systemctl("start", UNITS[0], check=False) != 0
    assert box.show(UNITS[0], "ExecMainStatus", "NRestarts") == ("78", "0")
    box.systemctl("reset-failed")

    # configured, enabled, started
    host = configured()
    host.add("fast", provider, ttl=6)
    host.write()
    settings = host.config.read_text()
    box.systemctl("enable", "--now", UNITS[0])
    until(lambda: host.token("fast") and host.versions("fast") >= 3, lambda: host.log)
    pid = box.main_pid(UNITS[0])
    memory = resident(box, pid)

    # upgraded, while a token is on its way: it is written first, and no refresh token is sent twice
    provider.control(delay_ms=1500)
    install.add(box, install.later(packages, install.python_of(box), kind))
    box.wait(UNITS[0], ActiveState="active", SubState="running")
    before = host.versions("fast")
    provider.control(delay_ms=0)
    until(lambda: host.versions("fast") >= before + 3, lambda: host.log)
    assert box.main_pid(UNITS[0]) != pid
    assert box.run("refresher", "--version").stdout == f"refresher {install.NEXT}\n"
    assert box.show(UNITS[0], "NRestarts", "Result") == ("0", "success")
    assert host.config.read_text() == settings
    assert set(provider.stats().of("fast-client").outcomes) <= {"200", "pending"}, "one may be under way"
    assert not host.journal("REFRESHER_EVENT=grant_unknown")
    assert len(host.journal("REFRESHER_EVENT=started", "PRIORITY=6")) == 2
    assert len(host.journal("REFRESHER_EVENT=stopped")) == 1
    written = host.written_at("tokens/fast")
    gap = max(after - one for one, after in pairwise(written))

    # removed: what an administrator wrote and what the daemon knows stay
    box.run(*REMOVE[kind])
    assert box.show(UNITS[0], "ActiveState", "LoadState", "Result") == ("inactive", "not-found", "success")
    assert not box.run("find", "/etc/systemd/system", "-name", "refresher*").stdout
    kept = host.config if kind == "deb" else host.config.with_suffix(".toml.rpmsave")
    assert kept.read_text() == settings
    left = box.run("find", "/usr", "-xdev", "-path", "*refresher*", "-newer", "/etc/machine-id", check=False).stdout
    assert left == ""
    assert "identity-default.json" in box.run("ls", "/var/lib/private/refresher").stdout

    if kind == "deb":
        box.run("dpkg", "--purge", "refresher")
        assert not (box.root / "var/lib/private/refresher").exists()
        assert not host.config.exists()
    size = package.stat().st_size / 1e6
    measured(
        f".{kind}: {size:.1f} MB; daemon with 1 job: {memory:.0f} MB resident; longest gap at an upgrade {gap:.1f} s"
    )


def test_lintian_finds_no_error(packages, box):
    command = ["lintian", "--allow-root", "--fail-on", "error", str(install.deb(packages, install.python_of(box)))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_man_pages_are_well_formed(box):
    folder = install.staged(install.python_of(box)).folder / "usr/share/man/man1"
    pages = sorted(folder.glob("*.gz"))
    assert len(pages) > 10
    for page in pages:
        done = subprocess.run(["man", "--warnings", "-l", str(page)], capture_output=True, text=True, check=True)
        assert done.stderr == ""
        assert page.name.removesuffix(".1.gz") in done.stdout

"""A booted systemd with refresher installed, for every test of this folder."""

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from refresher.demo.openbao import OpenBao, start
from tests.servers.provider import Provider
from tests.systemd.box import Box, booted
from tests.systemd.debian import debian
from tests.systemd.host import QUICK, Host
from tests.systemd.install import install

_numbers = itertools.count()


@pytest.fixture
def boot(tmp_path: Path) -> Iterator[Callable[[], Box]]:
    """Boot a bare systemd for this test alone, without refresher."""
    with ExitStack() as running:

        def boot_one() -> Box:
            folder = tmp_path / f"box-{next(_numbers)}"
            folder.mkdir()
            return running.enter_context(booted(folder))

        yield boot_one


SYSTEMDS = [
    pytest.param("", id="here", marks=pytest.mark.host),
    pytest.param("trixie", id="trixie", marks=[pytest.mark.nightly, pytest.mark.timeout(900)]),  # 257
]


@pytest.fixture(scope="session", params=SYSTEMDS)
def box(request: pytest.FixtureRequest, packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """One systemd for the whole run, with refresher installed and nothing configured; the machine's, or a Debian's."""
    tree = Path("/")
    if request.param:
        if os.geteuid() != 0 or shutil.which("debootstrap") is None:
            pytest.skip("needs root and debootstrap")
        tree = debian(request.param, tmp_path_factory.mktemp("debian"))
    with booted(tmp_path_factory.mktemp("box"), tree) as box:
        install(box, packages)
        box.run("rm", "--recursive", "/etc/refresher")  # each test has its own
        yield box


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which packages are built."""
    return tmp_path_factory.mktemp("packages")


@pytest.fixture(scope="session")
def box_bao(box: Box, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    """A real Vault on the loopback of the box."""
    with box.network(), start(tmp_path_factory.mktemp("openbao")) as server:
        yield server


@pytest.fixture(scope="session")
def box_provider(box: Box, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """A provider on the loopback of the box: a password grant whose refresh tokens are spent by their use."""
    with box.network():
        provider = Provider("semansys", tmp_path_factory.mktemp("provider"))
    yield provider
    provider.stop()


@pytest.fixture
def new_host(box: Box, box_bao: OpenBao, box_provider: Provider) -> Iterator[Callable[[str], Host]]:
    """Return a machine with one job and a Vault mount of its own; `name` makes it an instance, and the job's name."""
    hosts: list[Host] = []

    def new(name: str = "") -> Host:
        mount = f"host-{next(_numbers)}"
        box_bao.mount(mount)
        host = Host(box, box_bao, mount, name)
        hosts.append(host)
        box.drop_in(host.unit, QUICK)
        host.add(name or "semansys", box_provider)
        return host

    with box.network():
        box_provider.reset()
        yield new
        for host in hosts:
            host.close()
            states = [f"/var/lib/{folder}refresher{host.suffix}" for folder in ("", "private/")]  # link and target
            box.run("rm", "-rf", f"/etc/systemd/system/{host.unit}.d", *states)
        settings = (
            "/etc/refresher",
            "/etc/credstore",
            "/etc/credstore.encrypted",
            "/etc/systemd/system/refresher-once.timer.d",
        )
        box.run("rm", "-rf", *settings)
        box.systemctl("daemon-reload")


@pytest.fixture
def host(new_host: Callable[..., Host]) -> Host:
    return new_host()

"""The units as texts: one sandbox for all, and an exposure that systemd's own judge finds low."""

import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"
RELOAD = "refresher-reload@.service"  # root's, and no part of refresher: it asks systemd to reload a service
SERVICES = sorted(one.name for one in UNITS.glob("*.service") if one.name != RELOAD)
OWN = ("Type", "Exec", "NotifyAccess", "Timeout", "WatchdogSec", "Restart", "Runtime", "SocketBind")
OF_AN_INSTANCE = ("LoadCredential", "User", "StateDirectory=", "NoExecPaths")


def sandbox(unit: str) -> list[str]:
    """Return the directives of [Service] that are no service's own."""
    service = (UNITS / unit).read_text().split("[Service]")[1].split("[Install]")[0]
    lines = [line for line in service.splitlines() if line and not line.startswith("#")]
    return [line for line in lines if not line.startswith((*OWN, *OF_AN_INSTANCE))]


def test_there_is_one_sandbox_for_all() -> None:
    assert len(SERVICES) == 3
    assert sandbox(SERVICES[0]) == sandbox(SERVICES[1]) == sandbox(SERVICES[2])
    assert len(sandbox(SERVICES[0])) > 35


def test_what_reloads_reads_nothing_that_refresher_writes() -> None:
    path, service = (UNITS / f"refresher-reload@.{kind}" for kind in ("path", "service"))
    assert "PathModified=/var/lib/refresher/reload/%i" in path.read_text()
    lines = service.read_text().splitlines()
    assert [line for line in lines if line.startswith("Exec")] == [
        "ExecStart=/usr/bin/systemctl try-reload-or-restart -- %i.service"
    ]
    assert "/var/lib" not in service.read_text()


def exposure(unit: Path, threshold: int) -> str:
    """Return what systemd-analyze says where `unit` is more exposed than `threshold` tenths."""
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={threshold}", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.host
@pytest.mark.parametrize("unit", SERVICES)
def test_its_exposure_is_low(unit: str) -> None:
    assert exposure(UNITS / unit, 11) == ""


@pytest.mark.host
def test_the_exposure_of_what_reloads_is_low_for_roots() -> None:
    assert exposure(UNITS / RELOAD, 30) == ""


@pytest.mark.host
@pytest.mark.parametrize("unit", SERVICES)
def test_its_exposure_is_lower_where_it_may_reach_few(tmp_path: Path, unit: str) -> None:
    copy = tmp_path / unit
    copy.write_text((UNITS / unit).read_text())
    assert exposure(copy, 10) != "", "the threshold tells them apart"
    folder = tmp_path / f"{unit}.d"
    folder.mkdir()
    (folder / "egress.conf").write_text((UNITS / "examples/egress.conf").read_text())
    assert exposure(copy, 10) == ""


@pytest.mark.host
@pytest.mark.parametrize(
    "directive",
    ["CapabilityBoundingSet", "PrivateUsers", "RestrictNamespaces", "ProtectClock", "SystemCallArchitectures"],
)
def test_a_directive_that_is_taken_away_raises_it(tmp_path: Path, directive: str) -> None:
    lines = (UNITS / "refresher.service").read_text().splitlines()
    left = [line for line in lines if not line.startswith(f"{directive}=")]
    assert len(left) == len(lines) - 1
    (tmp_path / "refresher.service").write_text("\n".join(left))
    assert exposure(tmp_path / "refresher.service", 11) != ""

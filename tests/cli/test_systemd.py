"""`refresher systemd print`: what is printed is the unit, for where this refresher stands."""

import sys
from pathlib import Path

import pytest

from refresher.cli import systemd

UNITS = Path(__file__).parents[2] / "systemd"
NAMES = sorted(str(one.relative_to(UNITS)) for one in UNITS.rglob("*") if one.is_file())


@pytest.fixture
def called(monkeypatch):
    return lambda path: monkeypatch.setattr(sys, "argv", [str(path)])


@pytest.mark.parametrize("name", NAMES)
def test_every_unit_is_printed_as_it_is(cli, called, name):
    called("/usr/bin/refresher")
    text = (UNITS / name).read_text().replace("# /usr/lib/systemd/", "# /etc/systemd/", 1)
    assert cli("systemd", "print", name) == (0, text, "")


def test_it_starts_the_refresher_that_was_asked(cli, called, tmp_path):
    (tmp_path / "opt").mkdir()
    (tmp_path / "bin").symlink_to(tmp_path / "opt")
    (tmp_path / "opt/refresher").symlink_to("/elsewhere/refresher")
    called(tmp_path / "opt/../bin/refresher")
    code, out, err = cli("systemd", "print")
    assert (code, err) == (0, "")
    assert f"\nExecStart={tmp_path}/opt/refresher run --config /etc/refresher/jobs.toml\n" in out
    assert f"\nExecReload={tmp_path}/opt/refresher check" in out
    assert "/usr/bin/refresher" not in out
    assert out.startswith("# /etc/systemd/system/refresher.service: ")


def test_python_m_is_the_program_beside_the_interpreter(cli, called):
    called("/somewhere/refresher/__main__.py")
    assert f"ExecStart={Path(sys.executable).parent.resolve()}/refresher run" in cli("systemd", "print").out


def test_what_its_sandbox_would_hide_is_told(cli, called):
    called("/root/.local/bin/refresher")
    code, out, err = cli("systemd", "print")
    assert (code, out.count("/root/.local/bin/refresher")) == (0, 2)
    assert (
        err
        == "/root/.local/bin/refresher: the unit's sandbox hides that folder; install refresher elsewhere, as in /opt\n"
    )


def test_the_folders_that_are_hidden_are_those_of_the_unit():
    assert "ProtectHome=yes" in (UNITS / "refresher.service").read_text()
    assert systemd.HIDDEN == ("/home", "/root", "/run/user")  # systemd.exec(5)


def test_a_name_that_is_no_unit_lists_them(cli):
    code, out, err = cli("systemd", "print", "refresher.servic")
    assert (code, out) == (64, "")
    assert "did you mean" in err
    assert all(name in err for name in NAMES)

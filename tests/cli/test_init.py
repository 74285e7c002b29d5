import os
import stat

import pytest

from refresher import config


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_what_init_writes_passes_check(cli, tmp_path):
    assert cli("init") == (
        0,
        "jobs.toml: written. Put in your own jobs, then: refresher check --config jobs.toml\n",
        "",
    )
    assert cli("check", "--config", "jobs.toml").code == 0
    assert len(config.load(tmp_path / "jobs.toml").jobs) == 4


@pytest.mark.parametrize("mask", [0o000, 0o002, 0o077])
def test_nobody_else_may_write_it_whatever_the_umask(cli, tmp_path, mask):
    before = os.umask(mask)
    try:
        assert cli("init", "own.toml").code == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "own.toml").stat().st_mode) == 0o644


def test_an_existing_file_stays_as_it_is(cli, tmp_path):
    (tmp_path / "jobs.toml").write_text("mine")
    assert cli("init") == (1, "", "jobs.toml: there is one already; it stays as it is\n")
    assert (tmp_path / "jobs.toml").read_text() == "mine"


def test_a_link_that_leads_nowhere_is_not_followed(cli, tmp_path):
    (tmp_path / "jobs.toml").symlink_to(tmp_path / "elsewhere")
    assert cli("init").code == 1
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_is_not_there(cli):
    assert cli("init", "none/jobs.toml") == (1, "", "none/jobs.toml: No such file or directory\n")


def test_standard_output(process, tmp_path):
    code, out, err = process("-m", "refresher", "init", "-")
    assert (code, err) == (0, "")
    assert list(tmp_path.iterdir()) == []
    assert process("-m", "refresher", "init").code == 0
    assert (tmp_path / "jobs.toml").read_text() == out

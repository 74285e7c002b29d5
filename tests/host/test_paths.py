"""Where state is kept, and that an identity stays the same or says why not."""

import fcntl
import os
import re
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refresher.host import paths
from refresher.host.paths import Identity, identity, state_dir

FILE = "identity-default.json"


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with a home, without systemd and without /var/lib/refresher."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(paths, "SYSTEM_DIR", tmp_path / "var/lib/refresher")
    return tmp_path


def test_the_first_place_that_is_named_is_taken(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert state_dir(None) == host / "home/.local/state/refresher"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert state_dir(None) == host / "home/.local/state/refresher"
    monkeypatch.setenv("XDG_STATE_HOME", str(host / "xdg"))
    assert state_dir(None) == host / "xdg/refresher"
    (host / "var/lib/refresher").mkdir(parents=True)
    assert state_dir(None) == host / "var/lib/refresher"
    monkeypatch.setenv("STATE_DIRECTORY", f"{host}/systemd:{host}/second")
    assert state_dir(None) == host / "systemd"
    assert state_dir(host / "configured") == host / "configured"


def test_a_system_directory_of_somebody_else_is_left_alone(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (host / "var/lib/refresher").mkdir(parents=True)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert state_dir(None) == host / "home/.local/state/refresher"


def test_a_user_without_a_home_gets_the_system_directory(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert state_dir(None) == host / "var/lib/refresher"


@pytest.mark.leak("L27")
def test_it_is_made_for_us_alone(host: Path) -> None:
    assert stat.S_IMODE(state_dir(host / "a/b").stat().st_mode) == 0o700


def test_what_cannot_be_made_is_whoever_writes_theres_error(host: Path) -> None:
    (host / "file").touch()
    assert state_dir(host / "file/below") == host / "file/below"


def test_an_identity_is_made_once_and_kept(tmp_path: Path) -> None:
    made = identity(tmp_path, "default")
    assert (made.warning, len(made.key), len(made.holder)) == ("", 32, 16)
    assert identity(tmp_path, "default") == made
    assert identity(tmp_path, "other").holder != made.holder
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert names(tmp_path) == [FILE, "identity-other.json"]
    assert made.key.hex() not in repr(made)
    assert repr(made.key) not in repr(made)


def test_those_who_start_together_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def while_it_is_made() -> Identity:
        other = os.open(tmp_path, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(other)
        made.append(Identity(holder="0123456789abcdef", key=bytes(32)))
        return made[0]

    monkeypatch.setattr(paths, "_new", while_it_is_made)
    assert identity(tmp_path, "default") == identity(tmp_path, "default") == made[0]
    assert len(made) == 1


def spoil_mode(file: Path) -> None:
    file.chmod(0o644)


def spoil_link(file: Path) -> None:
    file.rename(file.parent / "elsewhere")
    file.symlink_to(file.parent / "elsewhere")


def spoil_kind(file: Path) -> None:
    file.unlink()
    file.mkdir(0o700)


def spoil_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


@pytest.mark.parametrize("spoil", [spoil_mode, spoil_link, spoil_kind, spoil_pipe], ids=lambda spoil: spoil.__name__)
@pytest.mark.leak("L27")
def test_a_file_that_others_could_have_touched_is_set_aside(tmp_path: Path, spoil) -> None:
    before = identity(tmp_path, "default")
    spoil(tmp_path / FILE)
    after = identity(tmp_path, "default")
    assert after.holder != before.holder
    assert after.warning == f"{FILE} could not be trusted: set aside as {FILE}.aside-1 and made new"
    assert os.path.lexists(tmp_path / f"{FILE}.aside-1")
    assert identity(tmp_path, "default").warning == ""


def test_a_file_of_another_user_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = identity(tmp_path, "default")
    owner = (tmp_path / FILE).stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert identity(tmp_path, "default") == before  # root looks on behalf of the service
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    after = identity(tmp_path, "default")
    assert (tmp_path / f"{FILE}.aside-1").exists()
    # the one made in its place is a stranger's too, as on a file system without owners
    assert after.warning == f"{tmp_path}: files are not private to us: the identity of this run is lost when it ends"


CONTENT = '{"holder": "0123456789abcdef", "key": "' + "0" * 64 + '"}'
SPOILED = [
    "",
    "[" * 4000,
    "null",
    "[1]",
    "{}",
    '{"holder": 1, "key": 2}',
    '{"holder": "0123456789abcdef", "key": "00"}',
    '{"holder": "../../x", "key": "' + "0" * 64 + '"}',
    CONTENT[:-2],
    CONTENT + "x",
]


@pytest.mark.parametrize("content", SPOILED, ids=range(len(SPOILED)))
def test_a_corrupt_file_is_set_aside(tmp_path: Path, content: str) -> None:
    for turn in (1, 2):
        (tmp_path / FILE).write_text(content)
        (tmp_path / FILE).chmod(0o600)
        after = identity(tmp_path, "default")
        assert after.warning.endswith(f"set aside as {FILE}.aside-{turn} and made new")
        assert (tmp_path / f"{FILE}.aside-{turn}").read_text() == content


@pytest.mark.fault("F57")
@given(position=st.integers(0, len(CONTENT) - 1), flip=st.integers(1, 255))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_flipped_bit_stops_a_start(tmp_path: Path, position: int, flip: int) -> None:
    content = bytearray(CONTENT.encode())
    content[position] ^= flip
    (tmp_path / FILE).write_bytes(content)
    (tmp_path / FILE).chmod(0o600)
    made = identity(tmp_path, "default")
    assert re.fullmatch("[0-9a-f]{16}", made.holder)
    assert len(made.key) == 32


@pytest.mark.parametrize("kind", ["missing", "file", "full"])
def test_a_directory_that_cannot_be_written_only_warns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    directory = tmp_path / "state"
    if kind == "file":
        directory.touch()
    if kind == "full":
        directory.mkdir()
        monkeypatch.setattr(os, "fsync", fail_as_full)
    made, again = identity(directory, "default"), identity(directory, "default")
    assert made.holder != again.holder
    assert made.warning.startswith(f"{directory}: ")
    assert made.warning.endswith(": the identity of this run is lost when it ends")
    if kind == "full":
        assert "No space left" in made.warning
        assert names(directory) == []


def fail_as_full(_file: int) -> None:
    raise OSError(28, "No space left on device")


def test_sockets_are_where_systemd_says_else_beside_the_state(tmp_path, monkeypatch):
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    assert paths.runtime_dir(tmp_path) == tmp_path
    units = (Path("/run/refresher"), Path("/run/refresher-blue"))
    assert paths.runtime_dirs(tmp_path, "blue") == (tmp_path, *units), "a person's shell knows nothing of systemd's"
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/one:/run/two")
    assert paths.runtime_dir(tmp_path) == Path("/run/one")
    assert paths.runtime_dirs(tmp_path, "blue") == (Path("/run/one"), *units, tmp_path)
    monkeypatch.setenv("RUNTIME_DIRECTORY", "relative")
    assert paths.runtime_dir(tmp_path) == tmp_path


def test_a_file_for_others_has_its_mode_whatever_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        with paths.locked(tmp_path) as folder:
            paths.write_private(folder, "series", b"x" * 200_000, mode=0o644)
    finally:
        os.umask(before)
    assert (tmp_path / "series").stat().st_mode & 0o777 == 0o644
    assert len((tmp_path / "series").read_bytes()) == 200_000


def test_an_instance_of_several_words_has_an_identity_that_stays(tmp_path: Path) -> None:
    known = identity(tmp_path, "eu/blue")
    assert (known.warning, identity(tmp_path, "eu/blue")) == ("", known)
    assert names(tmp_path) == ["identity-eu+blue.json"]


def test_a_daemon_of_several_words_is_looked_for_where_systemd_may_put_it(tmp_path: Path) -> None:
    assert paths.RUN_DIR.with_name("refresher-eu-blue") in paths.runtime_dirs(tmp_path, "eu/blue")

"""References to secrets of this machine: what is read, and what is refused with the reason."""

import os
import tempfile
from pathlib import Path

import pytest

from refresher.core.errors import UnreadableReferenceError
from refresher.core.model import Reference
from refresher.host.credentials import LocalReferences


def read(kind: str, target: object, **environ: object) -> str:
    reader = LocalReferences({name: str(value) for name, value in environ.items()})
    return reader.read(Reference(kind=kind, target=str(target))).reveal()


def why(kind: str, target: object, **environ: object) -> str:
    with pytest.raises(UnreadableReferenceError) as caught:
        read(kind, target, **environ)
    assert caught.value.reference == f"{kind}:{target}"
    assert "CANARY" not in caught.value.why
    return caught.value.why


@pytest.fixture
def secret(tmp_path):
    """Write a secret's file: `secret(body, mode=0o600)`."""

    def write(body: bytes = b"CANARY\n", mode: int = 0o600):
        path = tmp_path / "secret"
        path.write_bytes(body)
        path.chmod(mode)
        return path

    return write


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"s3cret", "s3cret"),
        (b"s3cret\n", "s3cret"),
        (b"s3cret\r\n", "s3cret"),
        (b" s3cret \n\n", " s3cret \n"),
        ("gehe\u00efm".encode(), "gehe\u00efm"),
        (b"x" * 65536, "x" * 65536),
    ],
)
def test_a_file_is_read_without_the_newline_that_ends_it(secret, body, text):
    assert read("file", secret(body)) == text


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o700])
def test_a_file_of_our_own_is_read(secret, mode):
    assert read("file", secret(mode=mode)) == "CANARY"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o601])
@pytest.mark.leak("L27")
def test_a_file_that_others_may_use_is_refused(secret, mode):
    assert why("file", secret(mode=mode)) == f"others may use it (mode {mode:04o}); run: chmod 0600"


@pytest.mark.leak("L27")
def test_a_file_of_another_user_is_refused(secret, monkeypatch):
    path = secret()
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
        assert why("file", path).startswith("it belongs to user 12345;")
        return
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert why("file", path).startswith(f"it belongs to user {os.getuid()};")


@pytest.mark.leak("L27")
def test_what_is_no_file_of_its_own_is_refused(secret, tmp_path):
    link, pipe = tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(secret())
    os.mkfifo(pipe, 0o600)

    assert why("file", link) == "this is a symbolic link; name the file itself"
    assert why("file", pipe) == "this is no regular file"
    assert why("file", tmp_path) == "this is no regular file"
    assert why("file", tmp_path / "none") == "there is no such file"
    assert why("file", secret() / "below") == "there is no such file"
    assert why("file", "relative/path") == "write the whole path, from /"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "it is empty"),
        (b"\n", "it is empty"),
        (b"CANARY\xff", "it is no UTF-8 text"),
        (b"x" * 65537, "it is larger than 64 KiB"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused(secret, body, reason):
    assert why("file", secret(body)) == reason


def test_a_file_is_read_afresh(secret):
    path = secret(b"one")
    reader, reference = LocalReferences({}), Reference(kind="file", target=str(path))
    assert reader.read(reference).reveal() == "one"

    secret(b"two")

    assert reader.read(reference).reveal() == "two"


def test_a_credential_is_guarded_by_its_folder(secret, tmp_path):
    path = secret(b"s3cret", 0o440)

    assert read("credential", "secret", CREDENTIALS_DIRECTORY=tmp_path) == "s3cret"
    assert read("file", path, CREDENTIALS_DIRECTORY=tmp_path) == "s3cret"
    assert why("file", path, CREDENTIALS_DIRECTORY=tmp_path / "other").startswith("others may use it")
    assert why("file", path, CREDENTIALS_DIRECTORY="").startswith("others may use it")


@pytest.mark.parametrize("name", ["../secret", "a/b", "", ".", "..", "a\0b", "/etc/shadow"])
def test_a_credential_does_not_leave_its_folder(tmp_path, secret, name):
    (tmp_path / "folder").mkdir()
    secret()

    assert why("credential", name, CREDENTIALS_DIRECTORY=tmp_path / "folder") == "this is no credential's name"


def test_a_credential_needs_its_folder_and_its_file(tmp_path):
    assert "LoadCredential=vault:" in why("credential", "vault")
    assert why("credential", "vault", CREDENTIALS_DIRECTORY=tmp_path) == "there is no such file"
    (tmp_path / "vault").mkdir()
    assert why("credential", "vault", CREDENTIALS_DIRECTORY=tmp_path) == "this is no regular file"


def test_a_variable():
    assert read("env", "CRM_SECRET", CRM_SECRET="a\n") == "a\n"
    assert why("env", "CRM_SECRET") == "this variable is not set"
    assert why("env", "CRM_SECRET", CRM_SECRET="") == "it is empty"


def test_what_stands_in_vault_is_not_of_this_machine():
    assert why("vault", "secret/clients/crm").startswith("it stands in Vault;")


def test_a_file_that_we_may_not_read(secret, monkeypatch):
    def denied(*_args: object, **_named: object) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "open", denied)

    assert why("file", secret()) == f"user {os.geteuid()} may not read it"


@pytest.fixture
def other_file_system(tmp_path):
    """A folder on another file system than `tmp_path` is on."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:  # the one that every Linux has
        if Path(folder).stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("there is one file system only")
        yield Path(folder)


def mounted(folder: Path, target: Path) -> str:
    reader = LocalReferences({}, mounts=(folder,))
    return reader.read(Reference(kind="file", target=str(target))).reveal()


def test_what_is_mounted_for_a_container_is_read_with_the_links_and_modes_of_its_mounter(tmp_path, other_file_system):
    run = tmp_path / "secrets"
    run.symlink_to(other_file_system)  # stands for a mount
    (other_file_system / "..2026").mkdir()
    (other_file_system / "..2026" / "token").write_text("eyJ.1\n")
    (other_file_system / "..2026" / "token").chmod(0o644)
    (other_file_system / "token").symlink_to("..2026/token")

    assert mounted(run, run / "token") == "eyJ.1"


def test_what_merely_lies_there_is_held_to_the_rules(tmp_path, secret):
    with pytest.raises(UnreadableReferenceError, match="others may use it"):
        mounted(tmp_path, secret(mode=0o644))
    (tmp_path / "link").symlink_to(secret())
    with pytest.raises(UnreadableReferenceError, match="symbolic link"):
        mounted(tmp_path, tmp_path / "link")


def test_a_path_that_leads_out_again_is_held_to_the_rules(tmp_path, other_file_system):
    run = tmp_path / "secrets"
    run.mkdir()
    (other_file_system / "token").write_text("eyJ.1")
    (other_file_system / "token").chmod(0o644)
    with pytest.raises(UnreadableReferenceError, match="others may use it"):
        mounted(run, run / ".." / ".." / ".." / ".." / ".." / other_file_system / "token")
    (tmp_path / "way").symlink_to(other_file_system)
    with pytest.raises(UnreadableReferenceError, match="others may use it"):
        mounted(run, run / ".." / "way" / "token")

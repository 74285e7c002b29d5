"""Secrets of this machine: files, systemd's credentials, environment variables.

Rules of this module:
- A file that others can read is no secret: it is refused, as ssh refuses a key. systemd's credentials are exempt:
  systemd guards their folder, and shows a group's right on them where it set an ACL.
- So are files that are mounted below /run/secrets, as in a container: they are there for that container alone, and
  their modes and links (kubelet changes one to renew a token) are the mounter's. A file that lies there is not exempt.
- What is checked is the file that was opened, not its name: a link in its place is refused, a pipe is not waited for.
- Read afresh each time: a changed secret is picked up without a restart.
"""

import os
import re
import stat
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from refresher.core.errors import UnreadableReferenceError
from refresher.core.model import Reference
from refresher.core.secret import Secret
from refresher.mounted import MOUNTS, is_mounted

MAX_SECRET: Final = 64 * 1024  # bytes
_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_NEWLINE: Final = re.compile(r"\r?\n\Z")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


class LocalReferences:
    """Reads `file:`, `credential:` and `env:` references; `environ` is the process's environment.

    `mounts`: folders in which what is mounted is exempt from the rules for files.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ, *, mounts: tuple[Path, ...] = MOUNTS) -> None:
        self._environ = environ
        self._mounts = mounts

    def read(self, reference: Reference) -> Secret:
        """Return what stands there, without the one newline that a file ends with; raise UnreadableReferenceError."""
        try:
            text = self._text(reference)
        except _Unreadable as error:
            raise UnreadableReferenceError(str(reference), str(error)) from None
        if not text:
            raise UnreadableReferenceError(str(reference), "it is empty")
        return Secret(text)

    def _text(self, reference: Reference) -> str:
        match reference.kind:
            case "file":
                return self._file(_path(reference.target))
            case "credential":
                return self._credential(reference.target)
            case "env":
                return self._variable(reference.target)
            case "vault":
                raise _Unreadable("it stands in Vault; here it must be on this machine: file, credential or env")

    def _file(self, path: Path) -> str:
        if not path.is_absolute():
            raise _Unreadable("write the whole path, from /")
        if is_mounted(path, self._mounts):
            return _read(path.resolve(), guarded=True)
        folder = self._environ.get("CREDENTIALS_DIRECTORY")
        return _read(path, guarded=bool(folder) and path.parent == Path(folder or ""))

    def _credential(self, name: str) -> str:
        folder = self._environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            raise _Unreadable(f"$CREDENTIALS_DIRECTORY is not set: start it by systemd, with LoadCredential={name}:...")
        if not _NAME.fullmatch(name):
            raise _Unreadable("this is no credential's name")
        return _read(Path(folder, name), guarded=True)

    def _variable(self, name: str) -> str:
        text = self._environ.get(name)
        if text is None:
            raise _Unreadable("this variable is not set")
        return text


_path: Final = lru_cache(maxsize=1024)(Path)  # to take a name apart costs as much as to read the file


class _Unreadable(Exception):  # noqa: N818  # never leaves this module
    """Why a reference can't be read, in words of ours."""


def _read(path: Path, *, guarded: bool) -> str:
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        raise _Unreadable(_why(error, path)) from None
    try:
        if not guarded:
            _check(os.fstat(descriptor))
        elif not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _Unreadable("this is no regular file")
        body = _all(descriptor)
    except OSError as error:
        raise _Unreadable(_why(error, path)) from None
    finally:
        os.close(descriptor)
    try:
        return _NEWLINE.sub("", body.decode())
    except UnicodeDecodeError:
        raise _Unreadable("it is no UTF-8 text") from None


def _check(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _Unreadable("this is no regular file")
    if found.st_uid not in {0, os.geteuid()}:
        raise _Unreadable(f"it belongs to user {found.st_uid}; it must be root's or that of user {os.geteuid()}")
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise _Unreadable(f"others may use it (mode {stat.S_IMODE(found.st_mode):04o}); run: chmod 0600")


def _all(descriptor: int) -> bytes:
    body = b""
    while chunk := os.read(descriptor, MAX_SECRET + 1 - len(body)):
        body += chunk
    if len(body) > MAX_SECRET:
        raise _Unreadable(f"it is larger than {MAX_SECRET // 1024} KiB")
    return body


def _why(error: OSError, path: Path) -> str:
    match error:
        case FileNotFoundError() | NotADirectoryError():
            return "there is no such file"
        case PermissionError():
            return f"user {os.geteuid()} may not read it"
        case _ if path.is_symlink():
            return "this is a symbolic link; name the file itself"
        case _:
            return "it cannot be read"

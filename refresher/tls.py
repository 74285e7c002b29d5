"""The TLS of a connection: whom to trust, and the client's own certificate where it has one (RFC 8705).

Rules of this module:
- TLS 1.2 or newer, the host name and the whole chain checked; nothing switches that off.
- A context is made of what stands in its files now; `stamp` tells when one of them has changed.
- A file with a private key is a secret: one that others may read is refused. systemd's credentials are exempt, and
  what is mounted for this container alone.
- OpenSSL's words never cross over, and it never asks a terminal for a passphrase.
"""

import functools
import os
import ssl
import stat
from datetime import datetime
from pathlib import Path
from typing import Final, NoReturn, TypeAlias

from refresher.core.errors import UnreadableReferenceError
from refresher.core.model import Channel
from refresher.mounted import is_mounted

Stamp: TypeAlias = tuple[tuple[int, ...], ...]
_FILES: Final = ("ca_file", "cert_file", "key_file")


class _EncryptedKeyError(Exception):
    """OpenSSL asked for a passphrase."""


def stamp(channel: Channel) -> Stamp:
    """Return what changes when a file of `channel` is replaced or written to; a file that is not there counts too."""
    return tuple(_stamp(path) for name in _FILES if (path := getattr(channel, name)) is not None)


def context(channel: Channel) -> ssl.SSLContext:
    """Return the context for `channel`, the same one as long as its files are the same.

    Raises UnreadableReferenceError: which file, and what is wrong with it.
    """
    return _context(channel.ca_file, channel.cert_file, channel.key_file, stamp(channel))


@functools.lru_cache(maxsize=64)  # making one takes 30 ms and a megabyte where the system's certificates are trusted
def _context(ca_file: Path | None, cert_file: Path | None, key_file: Path | None, _stamp: Stamp) -> ssl.SSLContext:
    # Not `ssl.create_default_context`: that one writes a key log where SSLKEYLOGFILE says.
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is None:
        made.load_default_certs()
    else:
        _check("ca_file", ca_file)
        try:
            made.load_verify_locations(ca_file)
        except OSError:
            _unusable("ca_file", ca_file, "holds no certificates in PEM form")
    if cert_file is not None:
        _check("cert_file", cert_file, secret=key_file is None)
        if key_file is not None:
            _check("key_file", key_file, secret=True)
        _prove_ourselves(made, cert_file, key_file)
    return made


def validity(cert_file: Path) -> tuple[datetime, datetime] | tuple[None, None]:
    """Return from when until when the first certificate of a PEM file is valid, Nones where that can't be read."""
    try:
        return dates(cert_file.read_bytes())
    except OSError:
        return None, None


def dates(pem: bytes) -> tuple[datetime, datetime] | tuple[None, None]:
    """Return from when until when the first certificate in a PEM text is valid, Nones where there is none."""
    from cryptography import x509  # noqa: PLC0415  # for those who have certificates alone

    try:
        first = x509.load_pem_x509_certificate(pem)
    except ValueError:
        return None, None
    return first.not_valid_before_utc, first.not_valid_after_utc


def _prove_ourselves(made: ssl.SSLContext, cert_file: Path, key_file: Path | None) -> None:
    named = ("cert_file", cert_file) if key_file is None else ("key_file", key_file)
    try:
        made.load_cert_chain(cert_file, key_file, password=_no_passphrase)
    except _EncryptedKeyError:
        _unusable(*named, "the private key is encrypted; store it without a passphrase, mode 0600")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            _unusable(*named, f"the private key is not that of the certificate in {cert_file}")
        _unusable(*named, f"this and {cert_file} are no certificate and its private key in PEM form")
    except OSError:
        _unusable(*named, "it cannot be read")


def _check(name: str, path: Path, *, secret: bool = False) -> None:
    """Say what keeps `path` from being read, before a library does so in its own words."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            _unusable(name, path, "this is no regular file")
        path.open("rb").close()
    except (FileNotFoundError, NotADirectoryError):
        _unusable(name, path, "there is no such file")
    except PermissionError:
        _unusable(name, path, f"user {os.geteuid()} may not read it")
    except OSError:
        _unusable(name, path, "it cannot be read")
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    guarded = (bool(folder) and path.parent == Path(folder or "")) or is_mounted(path)
    if secret and not guarded and found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        mode = stat.S_IMODE(found.st_mode)
        _unusable(name, path, f"it holds a private key and others may use it (mode {mode:04o}); run: chmod 0600")


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size


def _no_passphrase() -> NoReturn:
    raise _EncryptedKeyError


def _unusable(name: str, path: Path, why: str) -> NoReturn:
    raise UnreadableReferenceError(f"{name} {path}", why) from None

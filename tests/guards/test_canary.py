"""The search for planted secrets finds them: a guard that never barks is none."""

import base64
import json
import urllib.parse
import zlib
from pathlib import Path

import pytest

from tests.guards.canaries import Canaries

ODD = '+/"% é&\\='

DRESSES = {
    "plain": str,
    "inside a header": lambda s: f"Authorization: Bearer {s}\r\n",
    "percent": lambda s: urllib.parse.quote(s, safe=""),
    "form": lambda s: urllib.parse.urlencode({"client_secret": s}),
    "JSON": lambda s: json.dumps({"secret": s}),
    "JSON in JSON": lambda s: json.dumps(json.dumps({"secret": s})),
    "repr": lambda s: repr({"secret": s}),
    "reversed": lambda s: s[::-1],
    "hex": lambda s: s.encode().hex(),
    "cut": lambda s: s[:13] + "...",
    "Basic, offset 0": lambda s: base64.b64encode(f"abc:ab{s}".encode()).decode(),
    "Basic, offset 1": lambda s: base64.b64encode(f"abc:{s}".encode()).decode(),
    "Basic, offset 2": lambda s: base64.urlsafe_b64encode(f"abcd:{s}".encode()).decode(),
}


@pytest.mark.parametrize("dress", DRESSES.values(), ids=DRESSES)
@pytest.mark.parametrize("odd", ["", ODD], ids=["plain", "odd"])
@pytest.mark.leak("L32")
def test_a_planted_secret_is_found_in_every_dress(canaries: Canaries, dress, odd: str) -> None:
    secret = canaries.plant("client_secret", odd=odd)
    assert canaries.leaks(f"a line before\n{dress(secret)}\na line after")


def test_a_leak_is_named_without_being_shown(canaries: Canaries) -> None:
    secret = canaries.plant("password")
    with pytest.raises(AssertionError) as failure:
        canaries.check("nothing here", f"x{secret}y")
    assert "password as plain in output 1" in str(failure.value)
    assert secret not in str(failure.value)


def test_files_and_folders_are_searched(canaries: Canaries, tmp_path: Path) -> None:
    below = tmp_path / "a/b"
    below.mkdir(parents=True)
    (below / "blob").write_bytes(b"\xff\0" + canaries.plant("token").encode() + b"\xfe")
    assert canaries.leaks(tmp_path)
    assert canaries.leaks(below / "blob")


def test_what_is_not_there_is_not_found(canaries: Canaries) -> None:
    for name in ("a", "b"):
        canaries.plant(name, odd=ODD)
    noise = zlib.compress(bytes(range(256)) * 64)
    canaries.check("", "an innocent line", noise, base64.b64encode(noise))
    assert canaries.planted["a"] != canaries.planted["b"]

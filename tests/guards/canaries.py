"""Secrets that are planted, and a search that finds them again however they were dressed up on their way out."""

import base64
import html
import json
import secrets
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from urllib.parse import quote, quote_plus

CORE = 24  # characters without anything that an encoding would touch: found whole in most dresses
CLIP = 12  # so much of a secret is a leak of it


class Canaries:
    """Unique secrets by name; `leaks` says which of them is to be seen where, and in which dress."""

    def __init__(self) -> None:
        self.planted: dict[str, str] = {}

    def plant(self, name: str, *, odd: str = "") -> str:
        """Return a new secret. `odd`: characters in its middle that encodings change, as real passwords have them."""
        half = CORE // 2
        text = secrets.token_hex(half)
        self.planted[name] = text[:half] + odd + text[half:]
        return self.planted[name]

    def leaks(self, *outputs: str | bytes | Path) -> list[str]:
        """Return `name as dress in output` of every hit; a folder is searched with all that is below it."""
        forms = [(name, dress, form) for name, text in dict(self.planted).items() for dress, form in _dresses(text)]
        found = []
        for index, output in enumerate(outputs):
            for place, content in _contents(output, f"output {index}"):
                found += [f"{name} as {dress} in {place}" for name, dress, form in forms if form in content]
        return found

    def check(self, *outputs: str | bytes | Path) -> None:
        """Fail with the names of what leaks, never with the secrets themselves."""
        leaks = self.leaks(*outputs)
        assert not leaks, f"planted secrets are to be seen: {leaks}"


def _contents(output: str | bytes | Path, name: str) -> Iterator[tuple[str, bytes]]:
    if isinstance(output, Path):
        files = sorted(output.rglob("*")) if output.is_dir() else [output]
        yield from ((str(file), file.read_bytes()) for file in files if file.is_file())
    else:
        yield name, output.encode(errors="surrogatepass") if isinstance(output, str) else output


def _dresses(secret: str) -> Iterable[tuple[str, bytes]]:
    half = len(secret) - CORE // 2
    texts = [
        ("plain", secret),
        ("its beginning", secret[:CLIP]),
        ("its end", secret[half:]),
        ("percent", quote(secret, safe="")),
        ("percent in lower case", quote(secret, safe="").lower()),
        ("form", quote_plus(secret)),
        ("JSON", json.dumps(secret)[1:-1]),
        ("JSON in Unicode", json.dumps(secret, ensure_ascii=False)[1:-1]),
        ("repr", repr(secret)[1:-1]),
        ("HTML", html.escape(secret)),
        ("reversed", secret[::-1]),
        ("upper case", secret.upper()),
        ("UTF-16", secret.encode("utf-16-le").decode("latin-1")),
        ("hex", secret.encode().hex()),
    ]
    encoded = ((dress, text.encode("latin-1" if dress == "UTF-16" else "utf-8")) for dress, text in texts)
    return chain(encoded, _base64(secret.encode()))


def _base64(secret: bytes) -> Iterator[tuple[str, bytes]]:
    """Inside a longer text (`id:secret`) a secret starts at one of three offsets and shares its outer characters."""
    for offset in range(3):
        whole = base64.b64encode(b"\0" * offset + secret + b"\0" * 3)
        inner = whole[-(-offset * 8 // 6) : (offset + len(secret)) * 8 // 6]
        yield f"base64 at offset {offset}", inner
        yield f"base64url at offset {offset}", inner.translate(bytes.maketrans(b"+/", b"-_"))

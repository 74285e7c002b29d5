"""Hiding secrets in text that is not ours, however they are dressed up there."""

import base64
import json
from collections.abc import Collection, Iterator
from typing import Final
from urllib.parse import quote, quote_plus

from refresher.core.secret import MASK, Secret

SHORTEST: Final = 4  # characters: a shorter secret is in every text by accident


def masked(text: str, secrets: Collection[Secret]) -> str:
    """Return `text` with every one of `secrets` masked: plain, by line, base64, percent, JSON, hex, reversed."""
    forms = {form for secret in secrets for form in _forms(secret.reveal())}
    for form in sorted(forms, key=len, reverse=True):  # a form may be part of a longer one
        text = text.replace(form, MASK)
    return text


def _forms(secret: str) -> Iterator[str]:
    for part in {secret, secret.strip(), *secret.splitlines()}:
        if len(part) < SHORTEST:
            continue
        percent = quote(part, safe="", errors="replace")
        raw = part.encode(errors="surrogatepass")
        yield from (part, part[::-1], percent, percent.lower(), quote(part, errors="replace"))
        yield from (quote_plus(part, errors="replace"), json.dumps(part)[1:-1], repr(part)[1:-1])
        yield from (json.dumps(part, ensure_ascii=False)[1:-1], raw.hex(), raw.hex().upper())
        yield from _base64(raw)


def _base64(raw: bytes) -> Iterator[str]:
    """Inside a longer text (`id:secret`) a secret starts at one of three offsets and shares its outer characters."""
    for offset in range(3):
        whole = base64.b64encode(b"\0" * offset + raw + b"\0" * 3)
        inner = whole[-(-offset * 8 // 6) : (offset + len(raw)) * 8 // 6].decode("ascii")
        if len(inner) >= SHORTEST:
            yield from (inner, inner.translate(str.maketrans("+/", "-_")))

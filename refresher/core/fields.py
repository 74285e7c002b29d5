"""What readers find under which name: a destination's `fields`, over the members that a token is published with.

Rules of this module:
- A text is taken as it stands, but for `{member}`. There is nothing else: no condition, no function, no escape.
- What refresher itself reads stands under its own name, whatever `fields` says: whose it is, since when, until when.
- A field of a member that the token does not have (no expiry, nothing of that name in the reply) is left out.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, TypeAlias

from refresher.core.secret import Secret

Fields: TypeAlias = tuple[tuple[str, str], ...]  # name and text; none at all: the members as they are

OWN: Final = ("job", "managed_by", "issued_at", "expires_at")
ALWAYS: Final = frozenset(("access_token", "token_type", "issued_at", "scope", "job", "managed_by"))
MEMBERS: Final = (*sorted(ALWAYS), "expires_at", "expires_at_unix")
ACCESS_TOKEN: Final = "access_token"  # noqa: S105  # a member's name
_BLANK: Final = re.compile(r"\{([^{}]*)\}")


@lru_cache(maxsize=1024)
def named(text: str) -> tuple[str, ...]:
    """Return the members that `text` names. Raises ValueError for a brace that is not around a name."""
    if re.search(r"[{}]", _BLANK.sub("", text)):
        raise ValueError("a brace stands only around the name of a member")
    return tuple(_BLANK.findall(text))


def laid_out(data: Mapping[str, Secret], fields: Fields) -> Mapping[str, Secret]:
    """Return what is written where `fields` say how, of the published `data`."""
    if not fields:
        return data
    own = {name: data[name] for name in OWN if name in data}
    return {name: _filled(text, data) for name, text in fields if data.keys() >= set(named(text))} | own


def is_whole(data: Mapping[str, Secret], fields: Fields) -> bool:
    """Whether what stands there has a token, or all that `fields` ask for of any token."""
    if not fields:
        return bool(data.get(ACCESS_TOKEN))
    return all(name in data for name, text in fields if set(named(text)) <= ALWAYS)


def token_field(fields: Fields) -> str:
    """Return the name under which the access token stands by itself; `""`: under none."""
    if not fields:
        return ACCESS_TOKEN
    return next((name for name, text in fields if text == "{access_token}"), "")


def shown(fields: Fields) -> str:
    """Return the name under which a reader finds the token, by itself or with something around it."""
    return token_field(fields) or next((name for name, text in fields if ACCESS_TOKEN in named(text)), fields[0][0])


def token_in(data: Mapping[str, Secret], fields: Fields) -> Secret | None:
    """Return the access token that stands there, out of the text around it; None: it can't be told."""
    for name, text in fields or ((ACCESS_TOKEN, "{access_token}"),):
        before, _, after = text.partition("{access_token}")
        if name in data and named(text) == (ACCESS_TOKEN,):
            whole = data[name].reveal()
            if len(whole) > len(before) + len(after) and whole.startswith(before) and whole.endswith(after):
                return Secret(whole[len(before) : len(whole) - len(after)])
    return None


def _filled(text: str, data: Mapping[str, Secret]) -> Secret:
    return Secret(_BLANK.sub(lambda blank: data[blank[1]].reveal(), text))

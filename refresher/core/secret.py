"""A value that shows nothing of itself.

Rules of this module:
- The only way to the text is `reveal()`; grep for it to audit where secrets go.
- `str`, `repr`, `format` give a constant; pickling and copying refuse; it has no hash.
"""

import hmac
from typing import Final, NoReturn

MASK: Final = "***"


class Secret:
    """Text that must not be seen: a token, a password, a key."""

    __slots__ = ("__text",)
    __hash__ = None  # type: ignore[assignment]  # a secret is no key of a dict, where it would show

    def __init__(self, text: str, /) -> None:
        self.__text = text

    def reveal(self) -> str:
        """Return the text itself, for the one place that sends or stores it."""
        return self.__text

    def __bool__(self) -> bool:
        return bool(self.__text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        ours, theirs = (s.reveal().encode(errors="surrogatepass") for s in (self, other))
        return hmac.compare_digest(ours, theirs)

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str, /) -> str:
        return MASK

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is neither pickled nor copied")

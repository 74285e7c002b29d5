"""URLs that a secret may be sent to: https, or http to this machine itself; never a link-local or multicast address.

Rules of this module:
- Only the literal text is judged here; the wire judges the addresses that a host's name resolves to.
- Odd spellings of an IPv4 address (`2130706433`, `0x7f.1`, `127.1`, `010.0.0.1`) are refused, not understood: two
  programs that read them differently are how a filter is passed.
- Private networks are allowed: company identity providers live there.
- An error's text never repeats the value: a URL may hold a password.
"""

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from refresher.config.words import BadValueError
from refresher.core.address import is_forbidden
from refresher.providers.row import PLACEHOLDER

Address: TypeAlias = IPv4Address | IPv6Address
_VISIBLE: Final = re.compile(r"[!-~]+")  # urlsplit silently drops newlines and tabs: judge the text before it does
_UNSAFE: Final = frozenset('"<>\\^`{|}')  # not in any URL (RFC 3986, section 2); a backslash is a slash to some readers
_LABEL: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMERIC: Final = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")  # the last label of an IPv4 address (WHATWG URL, section 3.5)
_LONGEST_HOST: Final = 253  # RFC 1035, section 2.3.4, without the final dot
_LONGEST_URL: Final = 2048


def url(value: object) -> str:
    """Return `value` as it stands where it is a URL that may be sent secrets; else raise BadValueError."""
    if not isinstance(value, str):
        raise BadValueError("must be a text in quotes")
    return _judge(value)


def template(value: object) -> str:
    """Return `value` where it is such a URL, or one with `{name}`s: it is judged again when they are filled in."""
    if not isinstance(value, str):
        raise BadValueError("must be a text in quotes")
    if "{" not in value:
        return _judge(value)
    _judge(PLACEHOLDER.sub("x", value))
    return value


def proxy(value: object) -> str:
    """Return the URL of a proxy: it is told where to connect to, and sees nothing of what is sent there by https."""
    if not isinstance(value, str):
        raise BadValueError("must be a text in quotes")
    if urlsplit(_judge(value, plain=True)).path.strip("/"):
        raise BadValueError("must be a host and a port, e.g. http://proxy.example.com:3128")
    return value


@lru_cache(maxsize=1024)
def _judge(value: str, *, plain: bool = False) -> str:  # ten thousand jobs share a few hosts, and one text for each
    if len(value) > _LONGEST_URL or _VISIBLE.fullmatch(value) is None or not _UNSAFE.isdisjoint(value):
        raise BadValueError("must be a URL such as https://id.example.com/oauth/token, of visible ASCII characters")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise BadValueError("must be a URL such as https://id.example.com/oauth/token") from None
    if parts.scheme not in {"https", "http"} or not value.lower().startswith(("https://", "http://")):
        raise BadValueError('must begin with "https://"')
    if "@" in parts.netloc:
        raise BadValueError("must hold no user name or password; write them as keys of their own")
    if "?" in value or "#" in value:
        raise BadValueError('must have no "?" and no "#"; extra members of a token request go into params')
    if port == 0 or parts.netloc.endswith(":"):
        raise BadValueError("has a port that no server listens on")
    local = _judge_host(parts.hostname or "", bracketed="[" in parts.netloc)
    if parts.scheme == "http" and not local and not plain:
        raise BadValueError('must begin with "https://"; "http://" is for localhost and loopback addresses alone')
    return value


def _judge_host(host: str, *, bracketed: bool) -> bool:
    """Return whether `host` is this machine; raise BadValueError where nothing may be sent to it."""
    if not host:
        raise BadValueError("names no host")
    if bracketed:
        try:
            return _judge_address(IPv6Address(host))
        except AddressValueError:
            raise BadValueError("has brackets round what is no IPv6 address") from None
    labels = host.split(".")
    if _NUMERIC.fullmatch(labels[-1]):
        try:
            return _judge_address(IPv4Address(host))
        except AddressValueError:
            raise BadValueError("must spell an IPv4 address as four decimal numbers without leading zeros") from None
    if len(host) > _LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadValueError("names a host that is no DNS name (write an international name in its xn-- form)")
    return host == "localhost"


def _judge_address(address: Address) -> bool:
    if is_forbidden(address):
        raise BadValueError("must not name a link-local, multicast or unspecified address")
    if isinstance(address, IPv4Address):
        return address.is_loopback
    if address.scope_id is not None:
        raise BadValueError('must not name an address with a zone ("%")')
    return (address.ipv4_mapped or address).is_loopback

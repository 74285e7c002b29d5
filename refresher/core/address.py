"""Where no request may go, and where no secret may; which hosts a list of patterns takes."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import urlsplit

_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052, section 2.1
_COMPATIBLE: Final = IPv6Network("::/96")  # RFC 4291, section 2.5.5.1
_URL: Final = re.compile(r"https?://[!$%&'()*+,./0-9:;=?@A-Z\[\]_a-z~-]+", re.IGNORECASE)  # RFC 3986 without a fragment
_LONGEST_URL: Final = 2048
_PORTS: Final = {"http": 80, "https": 443}
_OWN: Final = frozenset({IPv6Address("::"), IPv6Address("::1")})  # lie in there and are no IPv4 addresses


def is_forbidden(address: IPv4Address | IPv6Address) -> bool:
    """Whether `address` is link-local (where clouds keep credentials), multicast or unspecified.

    IPv4 in IPv6 clothes (mapped, compatible, NAT64, 6to4) is judged as the IPv4 address that it leads to as well.
    Private networks and loopback are allowed.
    """
    return any(each.is_link_local or each.is_multicast or each.is_unspecified for each in (address, _inner(address)))


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64 or (address in _COMPATIBLE and address not in _OWN):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def may_get_secrets(url: str, *, plain: bool) -> bool:
    """Whether a secret may be sent to `url`: https, or with `plain` http to this machine itself.

    For addresses that a server names: the literal text alone is judged, and the wire judges what a name resolves to.
    """
    if len(url) > _LONGEST_URL or _URL.fullmatch(url) is None:
        return False
    try:
        parts = urlsplit(url)
        usable = parts.port != 0
    except ValueError:
        return False
    host = parts.hostname or ""
    try:
        address = ip_address(host)
    except ValueError:
        local, forbidden = host == "localhost", False
    else:
        local, forbidden = address.is_loopback, is_forbidden(address) or "%" in host
    fit = parts.scheme == "https" or (plain and local)
    return usable and fit and bool(host) and not forbidden and "@" not in parts.netloc


def is_taken(text: str, patterns: Iterable[str]) -> bool:
    """Whether one of `patterns` is `text`; `*` stands for any characters but a colon, which parts kinds."""
    return any(
        re.fullmatch("[^:]*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL) is not None
        for pattern in patterns
    )


def host_of(url: str) -> str:
    """Return the host that `url` leads to, in lower case, and `:PORT` where that is not its scheme's own."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    return shown if parts.port in {None, _PORTS.get(parts.scheme)} else f"{shown}:{parts.port}"

"""Which IP addresses no request may go to."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import Final

_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052, section 2.1
_COMPATIBLE: Final = IPv6Network("::/96")  # RFC 4291, section 2.5.5.1
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

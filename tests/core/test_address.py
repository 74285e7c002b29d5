from ipaddress import ip_address

import pytest

from refresher.core.address import is_forbidden


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "224.0.0.1",
        "239.255.255.255",
        "0.0.0.0",  # noqa: S104  # nothing binds to it
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "ff02::1",
        "::ffff:169.254.169.254",
        "::ffff:0.0.0.0",
        "::169.254.169.254",
        "64:ff9b::169.254.169.254",
        "2002:a9fe:a9fe::1",
    ],
)
def test_where_no_request_may_go(address):
    assert is_forbidden(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "::1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "fd00::1",
        "8.8.8.8",
        "2001:db8::1",
        "64:ff9b::8.8.8.8",
    ],
)
def test_where_requests_may_go(address):
    assert not is_forbidden(ip_address(address))

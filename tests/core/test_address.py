from ipaddress import ip_address

import pytest

from refresher.core.address import host_of, is_forbidden, is_taken


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
@pytest.mark.leak("L26")
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


@pytest.mark.parametrize(
    ("text", "pattern", "taken"),
    [
        ("a/b/c", "a/*", True),
        ("a/b", "a/b", True),
        ("a/b", "a", False),
        ("xa/b", "a/*", False),
        ("a.b", "a?b", False),
        ("a.b", "[a].b", False),
        ("a:b", "*", False),
        ("a:b", "*:*", True),
        ("a\nb", "a*", True),
        ("", "*", True),
    ],
)
def test_a_pattern_is_the_whole_text_and_a_star_stops_at_a_colon(text, pattern, taken):
    assert is_taken(text, [pattern]) is taken
    assert is_taken(text, []) is False


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://ID.example.com/x", "id.example.com"),
        ("https://id.example.com:443/x", "id.example.com"),
        ("https://id.example.com:80/x", "id.example.com:80"),
        ("http://localhost:80", "localhost"),
        ("https://[::1]:8200/x", "[::1]:8200"),
    ],
)
def test_the_host_of_a_url(url, host):
    assert host_of(url) == host

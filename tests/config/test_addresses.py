import pytest

from refresher.config.addresses import proxy, template, url
from refresher.config.words import BadValueError


@pytest.mark.parametrize(
    "value",
    [
        "https://crm.example.com/oauth/token",
        "HTTPS://CRM.example.com",
        "https://crm.example.com:8443/a/b",
        "https://10.0.0.7/token",
        "https://192.168.1.1",
        "https://[fd00::1]:8443/token",
        "https://id_internal/token",
        "https://xn--bcher-kva.example/token",
        "http://localhost:8080/token",
        "http://127.0.0.1:8200",
        "http://127.9.9.9",
        "http://[::1]:8200",
        "http://[::ffff:127.0.0.1]",
    ],
)
def test_allowed(value):
    assert url(value) == value


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("http://crm.example.com/token", "https"),
        ("http://10.0.0.7/token", "https"),
        ("http://localhost.example.com/token", "https"),
        ("http://[2002:7f00:1::]/token", "https"),
        ("http://[64:ff9b::7f00:1]/token", "https"),
        ("http://[::7f00:1]/token", "https"),
        ("ftp://crm.example.com", "https"),
        ("crm.example.com", "https"),
        ("https:crm.example.com", "https"),
        ("//crm.example.com", "https"),
        ("https://", "no host"),
        ("https:///token", "no host"),
        ("https://user:pass@crm.example.com", "user name"),
        ("https://@crm.example.com", "user name"),
        ("https://crm.example.com?x=1", '"\\?"'),
        ("https://crm.example.com/#x", '"#"'),
        ("https://crm.example.com/?", '"\\?"'),
        ("https://crm.example.com:0/", "port"),
        ("https://crm.example.com:/", "port"),
        ("https://crm.example.com:99999/", "URL"),
        ("https://crm.example.com:8a/", "URL"),
        ("https://169.254.169.254/latest", "link-local"),
        ("https://[fe80::1]/", "link-local"),
        ("https://[::ffff:169.254.169.254]/", "link-local"),
        ("https://[::ffff:a9fe:a9fe]/", "link-local"),
        ("https://[64:ff9b::a9fe:a9fe]/", "link-local"),
        ("https://[2002:a9fe:a9fe::]/", "link-local"),
        ("https://[::a9fe:a9fe]/", "link-local"),
        ("https://[fe80::1%25eth0]/", "link-local"),
        ("https://[2001:db8::1%25eth0]/", "zone"),
        ("https://224.0.0.1/", "multicast"),
        ("https://[ff02::1]/", "multicast"),
        ("https://0.0.0.0/", "unspecified"),
        ("http://0.0.0.0/", "unspecified"),
        ("https://[::]/", "unspecified"),
        ("https://2130706433/", "four decimal"),
        ("http://2130706433/", "four decimal"),
        ("https://0x7f.1/", "four decimal"),
        ("https://0x7f000001/", "four decimal"),
        ("https://127.1/", "four decimal"),
        ("https://0177.0.0.1/", "four decimal"),
        ("https://169.254.169.254./", "DNS name"),
        ("https://1.2.3.4.5/", "four decimal"),
        ("https://[127.0.0.1]/", "URL|brackets"),
        ("https://[v1.a]/", "brackets"),
        ("https://[::1/", "URL"),
        ("https://crm..example.com/", "DNS name"),
        ("https://crm.example.com./", "DNS name"),
        ("https://-crm.example.com/", "DNS name"),
        ("https://crm%2eexample.com/", "DNS name"),
        ("https://" + "a." * 130 + "example/", "DNS name"),
        ("https://bücher.example/", "ASCII"),
        ("https://crm.example.com/\n", "ASCII"),
        ("https://crm.example.com\\@evil.example/", "ASCII"),
        ("https://crm.example.com/a b", "ASCII"),
        ("https://crm.example.com/" + "a" * 2048, "ASCII"),
        ("", "ASCII"),
        (7, "text"),
    ],
)
@pytest.mark.answer("V39")
@pytest.mark.leak("L1", "L26")
def test_refused(value, why):
    with pytest.raises(BadValueError, match=why) as caught:
        url(value)
    assert str(value) not in str(caught.value) or not value


@pytest.mark.parametrize(
    "value", ["https://{tenant}.example.com", "https://id.example.com/{a}/{b_2}/x{c}", "http://localhost/{a}"]
)
def test_an_address_with_names_to_fill_in(value):
    assert template(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "https://{tenant.example.com",
        "https://tenant}.example.com",
        "https://{}.example.com",
        "https://{1a}.example.com",
        "https://{a-b}.example.com",
        "https://id.example.com:{port}/",
        "{scheme}://id.example.com/",
        "http{s}://id.example.com/",
        "http://{host}/",
        "https://{user}@id.example.com/",
        "https://id.example.com/?{query}",
        "https://id.example.com/{{a}}",
        7,
    ],
)
def test_no_address_with_names_to_fill_in(value):
    with pytest.raises(BadValueError):
        template(value)


@pytest.mark.parametrize(
    "value",
    ["http://proxy.example.com:3128", "https://proxy.example.com", "http://10.0.0.1:8080/", "http://localhost:1"],
)
def test_a_proxy_may_speak_plain_http(value):
    assert proxy(value) == value


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("proxy.example.com:3128", "https"),
        ("socks5://proxy.example.com", "https"),
        ("http://u:p@proxy.example.com", "user name"),
        ("http://proxy.example.com/path", "a host and a port"),
        ("http://169.254.169.254", "link-local"),
        ("http://proxy.example.com:0", "port"),
        (7, "text"),
    ],
)
def test_no_proxy(value, why):
    with pytest.raises(BadValueError, match=why):
        proxy(value)


def test_what_a_proxy_may_an_endpoint_may_not():
    assert proxy("http://both.example.com") == "http://both.example.com"
    with pytest.raises(BadValueError, match="https"):
        url("http://both.example.com")

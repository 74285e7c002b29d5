"""Requests in other shapes than the standard's, as a server gets them; and a secret in a URL stays between the two."""

import json
from collections.abc import Iterator
from urllib.parse import parse_qs, parse_qsl

import pytest

from tests.e2e.asking import once
from tests.servers.plain import Asked, Reply, Server, serving

pytestmark = pytest.mark.e2e
TOKEN = json.dumps({"data": {"token": "AT-1", "ttl": 3600}})


def fine(_: Asked) -> Reply:
    return Reply(body=TOKEN)


def moved(asked: Asked) -> Reply:
    return Reply(status=302, headers=(("Location", f"/elsewhere?{asked.query}"),))


def echo(asked: Asked) -> Reply:
    return Reply(status=400, body=json.dumps({"error": "invalid_request", "error_description": asked.target}))


def page(asked: Asked) -> Reply:
    return Reply(status=500, body=f"<html>{asked.target}</html>")


@pytest.fixture
def server() -> Iterator[Server]:
    answers = {"fine": fine, "moved": moved, "elsewhere": fine, "echo": echo, "page": page, "json": fine, "form": fine}
    with serving({**answers, "dropped": lambda _: None}) as one:
        yield one


def add(site, server: Server, path: str, **more: object) -> str:
    """Add a job that is named after its path; return its secret, which the fixture `site` looks for at the end."""
    secret = site.canaries.plant(f"{path} client secret", odd="+/= &%é")
    words = {"provider": "oauth2", "token_url": server.url(path), "grant": "client_credentials", "client_auth": "post"}
    words |= {"client_id": path, "client_secret": site.secret(path, secret), "path": f"tokens/{path}"}
    words |= {"response": {"access_token": "data.token", "expires_in": "data.ttl"}}
    site.jobs[path] = words | more
    return secret


def test_a_secret_in_a_url_stays_between_the_two(site, server):
    """Whatever comes of it, at the most talkative level; a redirect with it in its address is not followed."""
    ends = {
        "fine": "rotated",
        "moved": "rejected_permanent",
        "echo": "rejected_permanent",
        "page": "rejected_transient",
        "dropped": "rejected_transient",
        "closed": "rejected_transient",
    }
    secrets = {path: add(site, server, path, method="GET", params={"tenant": "7"}) for path in ends}
    with serving({}) as gone:
        site.jobs["closed"]["token_url"] = gone.url("closed")
    ended = once(site)
    assert {name: one["outcome"] for name, one in ended.items()} == ends
    assert server.asked.keys() == ends.keys() - {"closed"}, "nothing went elsewhere"
    for path, asked in server.asked.items():
        assert (asked.method, asked.body) == ("GET", b"")
        assert dict(parse_qsl(asked.query, strict_parsing=True)) == {
            "grant_type": "client_credentials",
            "client_id": path,
            "client_secret": secrets[path],
            "tenant": "7",
        }
        assert not {"content-type", "referer"} & asked.headers.keys()
    with site.daemon() as daemon:
        daemon.wait_for("started")
        assert daemon.stop() == 0


def test_a_json_body_with_headers_and_repeats(site, server):
    targets = ["https://a.example", "https://b.example"]
    secret = add(site, server, "json", body="json", headers={"X-Tenant": "7", "Accept": "*/*"}, resource=targets)
    assert once(site)["json"]["outcome"] == "rotated"
    asked = server.asked["json"]
    headers = asked.headers
    assert (asked.method, asked.query) == ("POST", "")
    assert (headers["content-type"], headers["x-tenant"], headers["accept"]) == ("application/json", "7", "*/*")
    assert headers["user-agent"].startswith("refresher/")
    assert json.loads(asked.body) == {
        "grant_type": "client_credentials",
        "client_id": "json",
        "client_secret": secret,
        "resource": targets,
    }
    assert site.token("json")["access_token"] == "AT-1"


def test_a_form_with_repeats(site, server):
    targets = ["https://a.example", "https://b.example"]
    add(site, server, "form", audience=targets)
    assert once(site)["form"]["outcome"] == "rotated"
    assert parse_qs(server.asked["form"].body.decode())["audience"] == targets

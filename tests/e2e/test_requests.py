"""Requests in other shapes than the standard's, as a server gets them; and a secret in a URL stays between the two."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from tests.e2e.asking import once

pytestmark = pytest.mark.e2e
TOKEN = json.dumps({"data": {"token": "AT-1", "ttl": 3600}})


class Server(ThreadingHTTPServer):
    """Remembers what it was asked and answers by the path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: dict[str, tuple[str, str, dict[str, str], bytes]] = {}

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        path = urlsplit(self.path).path.strip("/")
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked[path] = (self.command, urlsplit(self.path).query, headers, body)
        match path:
            case "dropped":
                self.connection.close()
            case "moved":
                self.answer(302, "", ("Location", self.server.url(f"elsewhere?{urlsplit(self.path).query}")))
            case "echo":
                self.answer(400, json.dumps({"error": "invalid_request", "error_description": self.path}))
            case "page":
                self.answer(500, f"<html>{self.path}</html>")
            case _:
                self.answer(200, TOKEN)

    do_POST = do_GET  # noqa: N815  # the library wants that name

    def answer(self, status: int, body: str, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (("Content-Length", str(len(body.encode()))), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def serving() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as one:
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
    with serving() as gone:
        site.jobs["closed"]["token_url"] = gone.url("closed")
    ended = once(site)
    assert {name: one["outcome"] for name, one in ended.items()} == ends
    assert server.asked.keys() == ends.keys() - {"closed"}, "nothing went elsewhere"
    for path, (method, query, headers, body) in server.asked.items():
        assert (method, body) == ("GET", b"")
        assert dict(parse_qsl(query, strict_parsing=True)) == {
            "grant_type": "client_credentials",
            "client_id": path,
            "client_secret": secrets[path],
            "tenant": "7",
        }
        assert not {"content-type", "referer"} & headers.keys()
    with site.daemon() as daemon:
        daemon.wait_for("started")
        assert daemon.stop() == 0


def test_a_json_body_with_headers_and_repeats(site, server):
    targets = ["https://a.example", "https://b.example"]
    secret = add(site, server, "json", body="json", headers={"X-Tenant": "7", "Accept": "*/*"}, resource=targets)
    assert once(site)["json"]["outcome"] == "rotated"
    method, query, headers, body = server.asked["json"]
    assert (method, query) == ("POST", "")
    assert (headers["content-type"], headers["x-tenant"], headers["accept"]) == ("application/json", "7", "*/*")
    assert headers["user-agent"].startswith("refresher/")
    assert json.loads(body) == {
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
    assert parse_qs(server.asked["form"][3].decode())["audience"] == targets

"""What every Python server here shares; harness.cjs describes the contract (/_stats, /_control, /api) and is its twin.

It stands before the real server as WSGI middleware, listens on a free port, and dies with the process that started it.
"""

import base64
import io
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote

import waitress
from waitress.channel import ClientDisconnected

FAULTS = ("delay_ms", "fail", "hang", "outage")
CONTROLS = ("reset", "ttl", "clients", "users", "client", *FAULTS)
ALL = ""
# Each request that hangs holds a thread of waitress until it is let go.
THREADS = 64


class Target(Protocol):
    """The real server: `app` answers the token request and everything that the harness does not."""

    def app(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]: ...

    def accepts(self, environ: dict[str, Any]) -> bool:
        """Tell whether the bearer token in `environ` is good now."""

    def add(self, clients: dict[str, dict[str, Any]], users: dict[str, str]) -> None: ...

    def forget(self) -> None: ...


class World:
    """What tests set and what was counted. waitress answers in threads: `lock` guards all of it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.lifted = threading.Event()
        self.forget()

    def forget(self) -> None:
        self.ttl = 3600
        self.clients: dict[str, dict[str, Any]] = {}
        self.faults: dict[str, dict[str, Any]] = {}
        self.log: list[dict[str, Any]] = []
        self.spent: set[str] = set()
        self.refresh_reused = 0
        self.running = 0
        self.at_once = 0
        self.let_go()

    def let_go(self) -> None:
        self.lifted.set()
        self.lifted = threading.Event()

    def lifetime(self, client_id: str) -> int:
        return self.clients.get(client_id, {}).get("ttl", self.ttl)

    def change(self, wanted: dict[str, Any]) -> None:
        if unknown := [key for key in wanted if key not in CONTROLS]:
            raise ValueError(f"no such control: {', '.join(unknown)}")
        if wanted.get("reset"):
            self.forget()
        self.ttl = wanted.get("ttl", self.ttl)
        self.clients |= wanted.get("clients", {})
        self.faults.setdefault(wanted.get("client", ALL), {}).update({k: wanted[k] for k in FAULTS if k in wanted})
        if wanted.get("hang") is False:
            self.let_go()

    def fault(self, client_id: str) -> dict[str, Any]:
        return {**self.faults.get(ALL, {}), **self.faults.get(client_id, {})}

    def failure(self, client_id: str) -> dict[str, Any] | None:
        """Return how the next request fails, if it does; the count is kept where the fault was set."""
        fail = self.fault(client_id).get("fail")
        if not fail or fail.get("times") == 0:
            return None
        if "times" in fail:
            fail["times"] -= 1
        return fail

    def note(self, form: dict[str, str], client_id: str) -> dict[str, Any]:
        line = {"at": time.time(), "client": client_id, "grant": form.get("grant_type", ""), "outcome": "pending"}
        self.log.append(line)
        self.running += 1
        self.at_once = max(self.at_once, self.running)
        self.refresh_reused += form.get("refresh_token") in self.spent
        return line


def client_of(environ: dict[str, Any], form: dict[str, str]) -> str:
    header = environ.get("HTTP_AUTHORIZATION", "")
    if not header.startswith("Basic "):
        return form.get("client_id", "")
    return unquote(base64.b64decode(header[6:]).decode().split(":", 1)[0])


class Harness:
    """The WSGI application that waitress serves."""

    def __init__(self, token_path: str, world: World, target: Target) -> None:
        self.token_path = token_path
        self.world = world
        self.target = target

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        route = (environ["REQUEST_METHOD"], environ["PATH_INFO"])
        if route == ("POST", self.token_path):
            return self.token(environ, start_response)
        if route == ("GET", "/_stats"):
            with self.world.lock:
                counts = {"log": self.world.log, "refresh_reused": self.world.refresh_reused}
                return answer(start_response, 200, {**counts, "at_once": self.world.at_once})
        if route == ("POST", "/_control"):
            return self.control(json.load(environ["wsgi.input"]), start_response)
        if route == ("GET", "/api"):
            if self.world.fault(ALL).get("outage"):
                raise ClientDisconnected
            ok = self.target.accepts(environ)
            return answer(start_response, 200 if ok else 401, {"ok": ok})
        return self.target.app(environ, start_response)

    def control(self, wanted: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            with self.world.lock:
                self.world.change(wanted)
        except ValueError as error:
            return answer(start_response, 400, {"error": str(error)})
        if wanted.get("reset"):
            self.target.forget()
        self.target.add(wanted.get("clients", {}), wanted.get("users", {}))
        return answer(start_response, 200, {})

    def token(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read()
        form = {key: values[-1] for key, values in parse_qs(body.decode(), keep_blank_values=True).items()}
        with self.world.lock:
            log = self.world.log
            line = self.world.note(form, client_of(environ, form))
        try:
            reply = self.misbehave(line, start_response)
            if reply is None:
                reply = self.target.app({**environ, "wsgi.input": io.BytesIO(body)}, noting(line, start_response))
        finally:
            with self.world.lock:
                if self.world.log is log:
                    self.world.running -= 1
                if line["outcome"] == "200" and "refresh_token" in form:
                    self.world.spent.add(form["refresh_token"])
        return reply

    def misbehave(self, line: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes] | None:
        """Do what the faults say; return nothing when the real server is to answer."""
        fault = self.world.fault(line["client"])
        if fault.get("outage"):
            line["outcome"] = "dropped"
            raise ClientDisconnected  # waitress then closes the connection without an answer
        if fault.get("hang"):
            line["outcome"] = "hung"
            self.world.lifted.wait()
            raise ClientDisconnected
        time.sleep(fault.get("delay_ms", 0) / 1000)
        with self.world.lock:
            fail = self.world.failure(line["client"])
        if fail is None:
            return None
        headers = [("Retry-After", str(fail["retry_after"]))] if "retry_after" in fail else []
        return answer(noting(line, start_response), fail["status"], {"error": "server_error"}, headers)


def noting(line: dict[str, Any], start_response: Callable[..., Any]) -> Callable[..., Any]:
    def start(status: str, headers: list[tuple[str, str]], *rest: object) -> object:
        line["outcome"] = status[:3]
        return start_response(status, headers, *rest)

    return start


def answer(
    start_response: Callable[..., Any], status: int, body: object, headers: Iterable[tuple[str, str]] = ()
) -> Iterable[bytes]:
    content = json.dumps(body).encode()
    fixed = [("Content-Type", "application/json"), ("Content-Length", str(len(content)))]
    start_response(f"{status} {HTTPStatus(status).phrase}", [*fixed, *headers])
    return [content]


def die_with_parent() -> None:
    """End when standard input closes: the parent holds its other end, and is gone then, whatever ended it."""
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(0)


def serve(token_path: str, world: World, target: Target) -> None:
    threading.Thread(target=die_with_parent, daemon=True).start()
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    sys.stdout.write(f"ready http://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    waitress.serve(Harness(token_path, world, target), sockets=[listener], threads=THREADS, _quiet=True)

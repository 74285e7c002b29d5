"""One daemon with every kind of trouble at once, and six jobs that are on time all the while."""

import asyncio
import gzip
import json
import os
import socket
import struct
import threading
import time
from contextlib import closing, contextmanager
from datetime import datetime
from itertools import pairwise
from secrets import token_hex

import pytest

from tests.fakes.background import in_background

pytestmark = pytest.mark.e2e
GOOD = [f"good-{number}" for number in range(6)]
BUGS = ("SystemExit", "KeyboardInterrupt", "MemoryError", "RecursionError", "CancelledError", "PanicError")
HUNG_NAMES = [f"name-hangs-{number}" for number in range(8)]  # more than the loop has threads
STUB = """
import asyncio, builtins, json, os, socket, threading
from urllib.parse import urlsplit
from refresher import http

told, system, send = json.loads(os.environ["TOLD"]), socket.getaddrinfo, http.Wire.send

class PanicError(BaseException):
    pass

def getaddrinfo(host, port, *args, **named):
    if port in told["hangs"]:
        threading.Event().wait()
    if port in told["fails"]:
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")
    if port == told["moves"]:
        return system("127.0.0.2" if os.path.exists(told["moved"]) else "127.0.0.1", port, *args, **named)
    return system(host, port, *args, **named)

async def poisoned(self, request):
    kind = urlsplit(request.url).path.partition("/bug-")[2]
    if kind:
        raise {"PanicError": PanicError, "CancelledError": asyncio.CancelledError}.get(kind) or getattr(builtins, kind)
    return await send(self, request)

socket.getaddrinfo, http.Wire.send = getaddrinfo, poisoned
"""


class Zoo:
    """Servers on loopback, one for each kind of trouble, in a thread of their own."""

    def __init__(self) -> None:
        self.ports: dict[str, int] = {}
        self.lasted: dict[str, float] = {}  # seconds from the first request to the end of its connection
        self.ended = threading.Event()
        self.asked: dict[str, int] = {}
        self.first: dict[str, float] = {}  # when each kind was asked for the first time
        self._loop = asyncio.new_event_loop()

    @contextmanager
    def open(self):
        kinds = ("good", "portal", "drips-head", "drips-body", "hangs", "resets", "bomb", "floods", "moves")
        servers = [self._loop.run_until_complete(self._listen(kind)) for kind in kinds]
        servers.append(self._loop.run_until_complete(self._listen("moved", "127.0.0.2", self.ports["moves"])))
        with in_background(self._loop, servers):
            yield self

    def url(self, kind: str) -> str:
        return f"http://127.0.0.1:{self.ports[kind]}/{kind}"

    async def _listen(self, kind: str, host: str = "127.0.0.1", port: int = 0) -> asyncio.Server:
        async def serve(reader, writer):
            began = time.monotonic()
            try:
                await self._answer(kind, reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()
                self.lasted.setdefault(kind, time.monotonic() - began)
                if self.lasted.keys() >= {"drips-head", "drips-body", "hangs"}:
                    self.ended.set()

        server = await asyncio.start_server(serve, host, port)
        self.ports[kind] = server.sockets[0].getsockname()[1]
        return server

    async def _answer(self, kind, reader, writer) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0))
        self.asked[kind] = self.asked.get(kind, 0) + 1
        self.first.setdefault(kind, time.monotonic())
        token = {"access_token": f"AT-{kind}-{token_hex(12)}", "token_type": "Bearer", "expires_in": 12}
        match kind:
            case "portal" if self.asked[kind] > 1:
                writer.write(whole(b"<html>Sign in to the guests' network</html>", "Content-Type: text/html"))
            case "good" | "portal" | "moves" | "moved":
                writer.write(whole(json.dumps(token).encode()))
            case "drips-head" | "drips-body":
                writer.write(b"HTTP/1.1 200 OK\r\n" + b"Content-Length: 999\r\n\r\n" * (kind == "drips-body") + b"X: ")
                while not writer.is_closing():
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.1)
            case "hangs":
                await reader.read()
            case "resets":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{")
                await writer.drain()
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
            case "bomb":
                writer.write(whole(gzip.compress(b"\0" * (64 << 20), mtime=0), "Content-Encoding: gzip"))
            case "floods":
                while not writer.is_closing():
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 2000)
                    await writer.drain()
        await writer.drain()


def whole(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as one:
        return one.getsockname()[1]


@pytest.mark.fault("F38", "F39", "F40", "F42", "F43", "F44", "F47", "F61")
def test_six_jobs_are_on_time_whatever_becomes_of_the_others(site, monkeypatch, measured):
    site.tables["limits"] = {"total": 24}  # sixteen others hang at once
    with Zoo().open() as zoo:
        hosts = dict.fromkeys(GOOD, zoo.url("good")) | {
            kind: zoo.url(kind) for kind in zoo.ports if kind not in ("good", "moves", "moved")
        }
        hosts |= {f"bug-{kind}": f"{zoo.url('good')}/bug-{kind}" for kind in BUGS}
        hung = {name: free_port() for name in (*HUNG_NAMES, "no-name")}
        hosts |= {name: f"http://localhost:{port}/" for name, port in hung.items()}
        hosts["moves"] = f"http://localhost:{zoo.ports['moves']}/"
        for name, url in hosts.items():
            add(site, name, url)
        moved = site.folder / "moved"
        told = {"fails": [hung.pop("no-name")], "hangs": list(hung.values()), "moves": zoo.ports["moves"]}
        stub = site.folder / "stub"
        stub.mkdir()
        (stub / "sitecustomize.py").write_text(STUB)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(stub), os.environ.get("PYTHONPATH", ""))).rstrip(":"))
        monkeypatch.setenv("TOLD", json.dumps(told | {"moved": str(moved)}))
        with site.daemon() as daemon:
            daemon.wait_for("rotated", job="moves")
            moved.touch()
            moved_at = time.monotonic()
            assert zoo.ended.wait(60), zoo.lasted
            while zoo.asked.get("moved", 0) == 0:
                daemon.wait_for("rotated", job="moves")
            began = time.monotonic()
            assert daemon.stop() == 0
            stopped = time.monotonic() - began

    held = {name: site.token(name) for name in (*GOOD, "portal")}
    lasted = {kind: round(zoo.lasted[kind], 2) for kind in ("drips-head", "drips-body", "hangs")}
    margins = [
        (when(before["expires_at"]) - when(after["timestamp"])).total_seconds()
        for name in GOOD
        for before, after in pairwise(daemon.lines("rotated", job=name))
    ]
    measured(f"ended after {lasted} s of 20 s; stopped within {stopped:.1f} s")
    measured(f"{len(margins)} renewals of six jobs, the closest {min(margins):.1f} s before expiry")
    measured(f"a host that moved is asked at its new address {zoo.first['moved'] - moved_at:.1f} s after")
    assert zoo.first["moved"] - moved_at <= 60
    assert all(held.values())
    assert len(margins) >= 6 * 2
    assert min(margins) > 0, "every renewal came before its token died"
    assert not [line for line in daemon.lines() if line.get("job") in GOOD and line["level"] in ("warning", "error")]
    assert max(lasted.values()) < 25
    assert held["portal"]["access_token"].startswith("AT-portal-")
    assert site.versions("portal") == 1, "what is no token replaces nothing"
    assert {line["type"] for line in daemon.lines("failing", level="error") if "type" in line} == set(BUGS)
    failures = {line["job"]: (line["event"], line["error"]) for line in daemon.lines("rotation_rejected", "failing")}
    assert failures.keys() == set(hosts) - {*GOOD, "moves"}
    assert {failures[name][1] for name in (*HUNG_NAMES, "hangs", "drips-head", "drips-body")} == {"deadline"}
    assert {failures[name][1] for name in ("no-name", "resets", "floods")} == {"transport"}
    assert failures["bomb"][1] == "too_large"
    assert failures["portal"][1] == "body"
    site.jobs = {name: site.jobs[name] for name in (*GOOD, "portal", "moves")}  # the others have no path to look at


def when(text: str) -> datetime:
    return datetime.fromisoformat(text)


def add(site, name: str, url: str) -> None:
    secret = site.canaries.plant(f"{name} client secret")
    words = {"provider": "oauth2", "token_url": url, "grant": "client_credentials", "client_auth": "post"}
    site.jobs[name] = words | {"client_id": name, "client_secret": site.secret(name, secret), "path": f"tokens/{name}"}

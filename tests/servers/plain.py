"""A plain HTTP server on loopback: each path answers as the test says, and what was asked of it is remembered."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request. Header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def query(self) -> str:
        return urlsplit(self.target).query


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    status: int = 200
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()


class Server(ThreadingHTTPServer):
    """`answers`: the reply by path, without the slash; None drops the connection. `asked`: the last request by path."""

    def __init__(self, answers: dict[str, Callable[[Asked], Reply | None]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = answers
        self.asked: dict[str, Asked] = {}

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        path = urlsplit(self.path).path.strip("/")
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", "0")))
        asked = Asked(method=self.command, target=self.path, headers=headers, body=body)
        self.server.asked[path] = asked
        reply = self.server.answers.get(path, lambda _: Reply(status=404))(asked)
        if reply is None:
            self.connection.close()
            return
        content = reply.body.encode()
        self.send_response(reply.status)
        for name, value in (("Content-Length", str(len(content))), *reply.headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815  # the library wants that name

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def serving(answers: dict[str, Callable[[Asked], Reply | None]]) -> Iterator[Server]:
    """Serve while the block lasts."""
    with Server(answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()

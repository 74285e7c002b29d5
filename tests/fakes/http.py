"""ports.Http that answers from a script and remembers what it was asked."""

import json
from collections.abc import Callable
from typing import TypeAlias
from urllib.parse import urlsplit

from refresher.core.errors import TransportError
from refresher.core.model import HttpRequest, HttpResponse

Step: TypeAlias = HttpResponse | Exception | Callable[[HttpRequest], HttpResponse]


class ScriptedHttp:
    """Answers each request with the next step: a response, an error to raise, or a function of the request.

    A request beyond the script fails the test.
    """

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.requests: list[HttpRequest] = []

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        assert self.steps, f"unexpected {request.method} {request.url}"
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step if isinstance(step, HttpResponse) else step(request)

    @property
    def asked(self) -> list[str]:
        """What was asked for, as `METHOD /path`, in order."""
        return [f"{request.method} {urlsplit(request.url).path}" for request in self.requests]


def answer(status: int, body: object = None, **headers: str) -> HttpResponse:
    """Make a response: `body` as JSON, bytes as they are; `retry_after="1"` is the header retry-after."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return HttpResponse(status=status, headers=named, body=raw)


def lost(why: str = "connection lost", *, sent: bool = True, stale: bool = False) -> TransportError:
    """Make the error of a request that got no answer."""
    return TransportError("transport", why, sent=sent, stale=stale)

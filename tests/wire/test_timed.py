"""The timed ports do what the plain ones do, and tell how long it took."""

from datetime import timedelta

import pytest

from refresher.core.errors import TransportError
from refresher.core.model import HttpRequest, HttpResponse
from refresher.timed import Timing
from tests.fakes.clock import VirtualClock
from tests.fakes.scheduler import FakeScheduler


class Stopwatch:
    def __init__(self) -> None:
        self.seen: list[tuple[str, float]] = []
        self.broken = False

    def tell(self, event) -> None:
        pass

    def timed(self, what, seconds) -> None:
        if self.broken:
            raise RuntimeError
        self.seen.append((what, round(seconds, 3)))


class Line:
    def __init__(self, clock: VirtualClock) -> None:
        self.clock, self.closed = clock, False

    async def send(self, request):
        self.clock._pass(self.clock.monotonic() + 2)
        if request.url.endswith("/gone"):
            raise TransportError("transport", "refused", sent=False)
        return HttpResponse(status=200)

    async def aclose(self) -> None:
        self.closed = True


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.mark.parametrize(
    ("method", "path", "what"),
    [
        ("GET", "/v1/secret/data/tokens/crm", "vault_read"),
        ("LIST", "/v1/secret/metadata", "vault_read"),
        ("POST", "/v1/secret/data/tokens/crm", "vault_write"),
        ("POST", "/v1/auth/approle/login", "vault_login"),
        ("GET", "/v1/auth/token/lookup-self", "vault_login"),
        ("POST", "/v1/gone", "vault_write"),
    ],
)
async def test_a_request_to_vault_is_told_by_what_it_asks_for(clock, method, path, what):
    watch, line = Stopwatch(), Line(clock)
    wire = Timing((watch,), clock).wire(line, vault=True)
    request = HttpRequest(method=method, url=f"https://vault.example.com{path}")
    if path.endswith("gone"):
        with pytest.raises(TransportError):
            await wire.send(request)
    else:
        assert (await wire.send(request)).status == 200
    assert watch.seen == [(what, 2.0)]
    await wire.aclose()
    assert line.closed


async def test_a_request_to_a_provider_is_one_kind(clock):
    watch = Stopwatch()
    await Timing((watch,), clock).wire(Line(clock)).send(HttpRequest(url="https://id.example.com/v1/auth/token"))
    assert watch.seen == [("request", 2.0)]


async def test_how_late_a_ring_is_heard(clock):
    watch = Stopwatch()
    bell = Timing((watch,), clock).bell(FakeScheduler(clock))
    bell.schedule("crm", timedelta(seconds=10))
    bell.schedule("gone", timedelta(seconds=10))
    bell.cancel("gone")
    await clock.advance(timedelta(seconds=13))
    assert await bell.due() == ("crm",)
    assert watch.seen == [("wakeup", 3.0)]
    bell.close()


async def test_a_stopwatch_that_breaks_is_in_nobody_s_way(clock):
    watch = Stopwatch()
    watch.broken = True
    timing = Timing((watch,), clock)
    assert (await timing.wire(Line(clock)).send(HttpRequest(url="https://id.example.com"))).status == 200
    bell = timing.bell(FakeScheduler(clock))
    bell.schedule("crm", timedelta())
    assert await bell.due() == ("crm",)


def test_where_nobody_wants_to_know_nothing_is_timed(clock):
    line, bell = Line(clock), FakeScheduler(clock)
    timing = Timing((), clock)
    assert timing.wire(line) is line
    assert timing.bell(bell) is bell
